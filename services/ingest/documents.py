"""What the API documentation says of the door's routes: bodies, answers, examples."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field, TypeAdapter

from schemas.posted import PostedEvent
from services.ingest.receipts import Receipt
from services.platform.problems import MEDIA_TYPE, Problem

_REF = "#/components/schemas/{model}"
EVENT_SCHEMA = TypeAdapter(PostedEvent).json_schema(ref_template=_REF)
EXAMPLE = {
    "type": "rating.submitted",
    "id": "R-1001",
    "client": "C-0417",
    "clinician": "T-12",
    "session": "S-2044",
    "occurred_at": "2026-11-20T10:00:00+01:00",
    "rating": {
        "instrument": "srs@3",
        "items": {"relationship": 8.5, "goals_and_topics": 9.1, "approach_or_method": 8.8, "overall": 9.0},
    },
}


class Stored(BaseModel):
    """The event is committed."""

    id: str = Field(max_length=36, description="Attune's own id of the fact, as in Location")
    received: str = Field(max_length=40)


class Result(BaseModel):
    """What became of one event of a batch."""

    index: int = Field(ge=0, le=9_999)
    status: int = Field(ge=200, le=599, description="201 new, 200 known already, else refused with a problem")
    id: str | None = Field(default=None, max_length=36)
    received: str | None = Field(default=None, max_length=40)
    problem: Problem | None = None


class Results(BaseModel):
    """Positional results: one for each event, in their order."""

    results: list[Result] = Field(max_length=10_000)


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    content = {MEDIA_TYPE: {"schema": {"$ref": _REF.format(model="Problem")}}}
    return {status: {"description": _DESCRIPTIONS[status], "content": content} for status in statuses}


_DESCRIPTIONS = {
    400: "Not JSON as RFC 8259 and we read it, or a header that cannot be read",
    401: "No API key, or none that is valid",
    403: "The key lacks the scope",
    404: "No such receipt of this clinic",
    405: "No such method here",
    408: "The body did not arrive in time",
    409: "This id and version were posted before with another body; nothing changed",
    413: "Too large",
    415: "Not a media type that is taken, or compressed",
    422: "Something in the event is wrong: each fault with its place and what was expected",
    429: "Too much at once: come back after Retry-After seconds",
    503: "The database does not answer; post the same again",
}


def _body(*types: str, schema: dict[str, Any], example: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {"required": True, "content": {kind: {"schema": schema, "example": example} for kind in types}}


_EVENT = {key: value for key, value in EVENT_SCHEMA.items() if key != "$defs"}
_LINE = {"type": "string", "description": "one event a line", "maxLength": 16 * 1024 * 1024}
_CLOUD = {"type": "object", "description": "A structured CloudEvent", "required": ["specversion"]}

POST_EVENT: dict[str, Any] = {
    "summary": "Post one event",
    "description": "Plain JSON, or a CloudEvent (structured, or binary with `ce-` headers). Answered once it is "
    "committed: 201 the first time, 200 with the same receipt when posted again.",
    "status_code": 201,
    "response_model": Stored,
    "responses": {
        200: {"model": Stored, "description": "Known already: nothing changed"},
        **_problems(400, 401, 403, 408, 409, 413, 415, 422, 429, 503),
    },
    "openapi_extra": {
        "requestBody": _body("application/json", schema=_EVENT, example=EXAMPLE),
        "security": [{"key": []}],
    },
}
POST_BATCH: dict[str, Any] = {
    "summary": "Post up to 10,000 events",
    "description": "A JSON array or NDJSON, up to 16 MiB. Results are positional: one bad event never sinks others.",
    "status_code": 200,
    "response_model": Results,
    "responses": _problems(400, 401, 403, 408, 413, 415, 429, 503),
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"type": "array", "items": {"type": "object"}, "maxItems": 10_000},
                    "example": [EXAMPLE],
                },
                "application/x-ndjson": {"schema": _LINE},
            },
        },
        "security": [{"key": []}],
    },
}
GET_RECEIPT: dict[str, Any] = {
    "summary": "What became of an event",
    "response_model": Receipt,
    "responses": _problems(401, 403, 404, 422, 503),
    "openapi_extra": {"security": [{"key": []}]},
}


def complete(schema: dict[str, Any]) -> dict[str, Any]:
    """Add what the routes refer to: the posted event's definitions, problems, how to authenticate."""
    components = schema.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    problem = Problem.model_json_schema(ref_template=_REF)
    schemas |= EVENT_SCHEMA.get("$defs", {}) | problem.pop("$defs", {}) | {"Problem": problem}
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer", "description": "An API key: atk_..."}}
    return schema
