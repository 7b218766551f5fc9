"""The alerts' HTTP API: what asks for a person, with its evidence, and what a person did."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from starlette.exceptions import HTTPException

from schemas.events import AlertKind, Severity
from services.alerts.acts import LifeCycle, NoSuchAlert, Resolution
from services.platform.auth import Keys, Principal, Scope
from services.platform.db import transaction
from services.platform.problems import MEDIA_TYPE, Problem, ProblemError
from services.platform.vault import Vault

State = Literal["open", "acknowledged", "resolved", "withdrawn", "cleared"]
_URGENCY = "case severity when 'urgent' then 3 when 'red' then 2 when 'amber' then 1 else 0 end"
_PAGE = text(f"""
    select *, {_URGENCY} as urgency from alerts.alert
    where tenant_id = :tenant and historical = :historical and not (kind = 'risk-item' and state = 'withdrawn')
      and (cast(:states as text[]) is null or state = any(cast(:states as text[])))
      and (cast(:kind as text) is null or kind = :kind)
      and (cast(:severity as text) is null or severity = :severity)
      and (cast(:owner as uuid) is null or owner_id = :owner)
      and (cast(:urgency as int) is null
           or ({_URGENCY}, opened_at, alert_id) < (:urgency, cast(:opened_at as timestamptz), cast(:after as uuid)))
    order by urgency desc, opened_at desc, alert_id desc limit :most
""")  # noqa: S608 - put together from a constant
_ONE = text("select * from alerts.alert where tenant_id = :tenant and alert_id = :alert")
_STEPS = text("select * from alerts.step where tenant_id = :tenant and alert_id = :alert order by number")


class AlertSummary(BaseModel):
    """One alert. `client` and `owner` are the clinic's own references, opened for this answer and audited."""

    id: UUID
    kind: AlertKind
    severity: Severity
    state: State
    client: str | None = Field(max_length=200)
    client_id: UUID
    owner: str | None = Field(max_length=200)
    episode_id: UUID
    reason: str = Field(max_length=500)
    occurred_at: datetime
    opened_at: datetime
    historical: bool
    rule: str = Field(max_length=64)
    policy: str = Field(max_length=64)


class AlertStepOut(BaseModel):
    """What happened to it, when, and by whom."""

    action: str = Field(max_length=16)
    at: datetime
    by: str | None = Field(max_length=200)
    reason: str | None = Field(max_length=500)


class AlertDetail(AlertSummary):
    """With the evidence as it was, and the whole history."""

    rating_id: UUID | None
    evidence: dict[str, Any]
    steps: list[AlertStepOut] = Field(max_length=10_000)


class AlertPage(BaseModel):
    """One page, the most urgent first; `next` leads to the one after."""

    alerts: list[AlertSummary] = Field(max_length=200)
    next: str | None = Field(default=None, max_length=300)


class ResolveBody(BaseModel):
    """Why it is done with: chosen, never free text about a client."""

    reason: Resolution


@dataclass(frozen=True, slots=True)
class Desk:
    """What the routes need."""

    engine: AsyncEngine
    keys: Keys
    vault: Vault
    acts: LifeCycle


class Filters(BaseModel):
    """Which alerts; without `state`, those that wait for somebody."""

    state: list[State] = Field(default=["open", "acknowledged"], max_length=5)
    kind: AlertKind | None = None
    severity: Severity | None = None
    owner_id: UUID | None = None
    historical: bool = False
    limit: int = Field(default=50, ge=1, le=200)
    cursor: str | None = Field(default=None, max_length=300)


_TEXTS = {401: "No valid key", 403: "Scope missing", 404: "No such alert", 409: "Not possible now", 422: "Not as told"}


def _problem() -> dict[str, Any]:
    """The schema of a problem in one piece: references would have to lead into the whole document."""
    schema = Problem.model_json_schema()
    schema["properties"]["errors"]["items"] = schema.pop("$defs")["Fault"]
    return schema


def _responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    schema = {MEDIA_TYPE: {"schema": _problem()}}
    return {status: {"description": _TEXTS[status], "content": schema} for status in statuses}


def routes(desk: Desk) -> APIRouter:
    """The routes under /v1."""
    router = APIRouter(prefix="/v1", tags=["alerts"])

    @router.get("/alerts", responses=_responses(401, 403, 422))
    async def list_alerts(request: Request, response: Response, filters: Annotated[Filters, Query()]) -> AlertPage:
        principal = await _who(desk, request, "alerts:read")
        response.headers["Cache-Control"] = "no-store"
        async with transaction(desk.engine, [principal.tenant_id]) as connection:
            rows = (await connection.execute(_PAGE, _wanted(principal, filters))).all()
            summaries = await _summaries(desk, connection, principal, rows[: filters.limit])
        more = len(rows) > filters.limit
        return AlertPage(alerts=summaries, next=_cursor(rows[filters.limit - 1]) if more else None)

    @router.get("/alerts/{alert_id}", responses=_responses(401, 403, 404, 422))
    async def get_alert(request: Request, response: Response, alert_id: UUID) -> AlertDetail:
        principal = await _who(desk, request, "alerts:read")
        response.headers["Cache-Control"] = "no-store"
        return await _detail(desk, principal, alert_id)

    @router.post("/alerts/{alert_id}/acknowledge", responses=_responses(401, 403, 404, 409, 422))
    async def acknowledge(request: Request, response: Response, alert_id: UUID) -> AlertDetail:
        principal = await _who(desk, request, "alerts:read")  # the answer names the client
        principal.require("alerts:write")
        response.headers["Cache-Control"] = "no-store"
        await _acting(desk.acts.acknowledge(principal.tenant_id, alert_id, by=_name(principal)))
        return await _detail(desk, principal, alert_id)

    @router.post("/alerts/{alert_id}/resolve", responses=_responses(401, 403, 404, 409, 422))
    async def resolve(request: Request, response: Response, alert_id: UUID, body: ResolveBody) -> AlertDetail:
        principal = await _who(desk, request, "alerts:read")  # the answer names the client
        principal.require("alerts:write")
        response.headers["Cache-Control"] = "no-store"
        await _acting(desk.acts.resolve(principal.tenant_id, alert_id, by=_name(principal), reason=body.reason))
        return await _detail(desk, principal, alert_id)

    return router


async def _who(desk: Desk, request: Request, scope: Scope) -> Principal:
    principal = await desk.keys.authenticate(request.headers.get("authorization"))
    principal.require(scope)
    return principal


def _name(principal: Principal) -> str:
    return f"key:{principal.key_id}"


async def _acting(doing: Any) -> None:  # noqa: ANN401 - an awaitable
    try:
        await doing
    except NoSuchAlert:
        raise HTTPException(404) from None


def _wanted(principal: Principal, filters: Filters) -> dict[str, Any]:
    after = _after(filters.cursor)
    return after | {
        "tenant": principal.tenant_id,
        "historical": filters.historical,
        "states": list(filters.state),
        "kind": filters.kind,
        "severity": filters.severity,
        "owner": filters.owner_id,
        "most": filters.limit + 1,
    }


def _cursor(row: Row[Any]) -> str:
    place = json.dumps([row.urgency, row.opened_at.isoformat(), str(row.alert_id)])
    return base64.urlsafe_b64encode(place.encode()).decode()


def _after(cursor: str | None) -> dict[str, Any]:
    if cursor is None:
        return {"urgency": None, "opened_at": None, "after": None}
    try:
        urgency, opened_at, alert_id = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        return {"urgency": int(urgency), "opened_at": datetime.fromisoformat(opened_at), "after": UUID(alert_id)}
    except (ValueError, TypeError, AttributeError):
        raise ProblemError(422, "cursor is not one of ours: begin again without it") from None


async def _summaries(
    desk: Desk, connection: AsyncConnection, principal: Principal, rows: Sequence[Row[Any]]
) -> list[AlertSummary]:
    people = {row.client_id for row in rows} | {row.owner_id for row in rows if row.owner_id is not None}
    names = await desk.vault.open(
        connection, principal.tenant_id, people, opened_by=_name(principal), purpose="alerts api"
    )
    return [AlertSummary.model_validate(_summary(row, names)) for row in rows]


def _summary(row: Row[Any], names: dict[UUID, str]) -> dict[str, Any]:
    return dict(row._mapping) | {  # noqa: SLF001 - SQLAlchemy's public name for it
        "id": row.alert_id,
        "client": names.get(row.client_id),
        "owner": names.get(row.owner_id) if row.owner_id else None,
    }


async def _detail(desk: Desk, principal: Principal, alert_id: UUID) -> AlertDetail:
    about = {"tenant": principal.tenant_id, "alert": alert_id}
    async with transaction(desk.engine, [principal.tenant_id]) as connection:
        row = (await connection.execute(_ONE, about)).one_or_none()
        if row is None:
            raise HTTPException(404)
        people = [each for each in (row.client_id, row.owner_id) if each is not None]
        names = await desk.vault.open(
            connection, principal.tenant_id, people, opened_by=_name(principal), purpose="alerts api"
        )
        steps = (await connection.execute(_STEPS, about)).all()
    told = [{"action": step.action, "at": step.at, "by": step.actor, "reason": step.reason} for step in steps]
    return AlertDetail.model_validate(_summary(row, names) | {"steps": told})
