"""RFC 9457 problem documents: what every door answers when it does not do what was asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from services.platform import logs
from services.platform.auth import Forbidden, Unauthenticated
from services.platform.db import is_transient
from services.platform.errors import Refused, Unavailable

MEDIA_TYPE = "application/problem+json"
TITLES = {
    400: "Bad request", 401: "Not authenticated", 403: "Not allowed", 404: "Not found", 405: "Method not allowed",
    406: "Not acceptable", 408: "Request timeout", 409: "Conflict", 413: "Too large", 415: "Unsupported media type",
    422: "Invalid event", 429: "Too many requests", 500: "Internal error", 503: "Unavailable",
}  # fmt: skip
_log = logs.get("http")


class Fault(BaseModel):
    """One thing that is wrong: where (a JSON pointer into the request), what, and what was expected."""

    pointer: str = Field(max_length=500)
    detail: str = Field(max_length=500)
    expected: str | None = Field(default=None, max_length=500)


class Problem(BaseModel):
    """The document."""

    type: str = Field(default="about:blank", max_length=200)
    title: str = Field(max_length=200)
    status: int = Field(ge=400, le=599)
    detail: str = Field(max_length=1_000)
    errors: list[Fault] = Field(default_factory=list, max_length=1_000)


class ProblemError(Exception):
    """Ends a request with a problem."""

    def __init__(
        self, status: int, detail: str, *, errors: Sequence[Fault] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.problem = Problem(title=TITLES[status], status=status, detail=detail, errors=list(errors))
        self.headers = dict(headers or {})


def respond(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    body = problem.model_dump_json(exclude_none=True)
    return Response(body, status_code=problem.status, media_type=MEDIA_TYPE, headers=dict(headers or {}))


def _plain(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    return respond(Problem(title=TITLES.get(status, "Error"), status=status, detail=detail), headers)


async def _on_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return respond(error.problem, error.headers)


async def _on_http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _plain(error.status_code, TITLES.get(error.status_code, "error"), error.headers)


async def _on_unauthenticated(_: Request, error: Exception) -> Response:
    return _plain(401, str(error), {"WWW-Authenticate": 'Bearer realm="attune"'})


async def _on_forbidden(_: Request, error: Exception) -> Response:
    return _plain(403, str(error))


async def _on_refused(_: Request, error: Exception) -> Response:
    return _plain(409, str(error))


async def _on_other(request: Request, error: Exception) -> Response:
    if is_transient(error):
        return _plain(503, "the database does not answer; try the same again", {"Retry-After": "2"})
    _log.error("request failed", path=request.scope.get("route_path", ""), exc_info=error)
    return _plain(500, "an error of ours, not of the request; the same request may be sent again")


HANDLERS: dict[Any, Any] = {
    ProblemError: _on_problem,
    HTTPException: _on_http,
    Unauthenticated: _on_unauthenticated,
    Forbidden: _on_forbidden,
    Refused: _on_refused,
    Unavailable: _on_other,
    Exception: _on_other,
}
"""For `FastAPI(exception_handlers=...)`."""
