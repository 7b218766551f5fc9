"""The part of alerts' tables that the pages read, for as long as no migration makes them.

Goes, together with `Acting`, as soon as migration 0002 and the life cycle stand: then `queries.py` of the pages and
`seed.py` here take their names, and `site.py` the real life cycle.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.platform.db import transaction

_TABLES = """
create schema alerts;
create table alerts.episode (tenant_id uuid, episode_id uuid, client_id uuid, owner_id uuid, status text,
  opened_at timestamptz, last_attended_at timestamptz, snapshot jsonb);
create table alerts.reading (tenant_id uuid, episode_id uuid, rating_id uuid, occurred_at timestamptz, reading jsonb);
create table alerts.alert (tenant_id uuid, alert_id uuid, client_id uuid, episode_id uuid, owner_id uuid, kind text,
  severity text, state text, reason text, rating_id uuid, occurred_at timestamptz, opened_at timestamptz,
  historical boolean, rule text, policy text, evidence jsonb);
create table alerts.step (tenant_id uuid, step_id uuid, alert_id uuid, action text, actor text, reason text,
  at timestamptz);
create table alerts.tenant_clock (tenant_id uuid, known_at timestamptz);
grant usage on schema alerts to attune_alerts;
grant select, insert, update on all tables in schema alerts to attune_alerts
"""
_CHANGE = text("update alerts.alert set state = :action where alert_id = :alert")
_STEP = text("""
    insert into alerts.step (tenant_id, step_id, alert_id, action, actor, reason, at)
    values (:tenant, :step, :alert, :action, :by, :reason, :at)
""")


async def make_missing(connection: AsyncConnection) -> None:
    if (await connection.execute(text("select to_regclass('alerts.alert')"))).scalar() is None:
        for statement in _TABLES.split(";\n"):
            await connection.execute(text(statement))


@dataclass(frozen=True, slots=True)
class Acting:
    """The two steps, written down."""

    engine: AsyncEngine
    at: datetime

    async def acknowledge(self, tenant_id: UUID, alert_id: UUID, *, by: str) -> None:
        await self._step(tenant_id, {"alert": alert_id, "action": "acknowledged", "by": by, "reason": None})

    async def resolve(self, tenant_id: UUID, alert_id: UUID, *, by: str, reason: str) -> None:
        await self._step(tenant_id, {"alert": alert_id, "action": "resolved", "by": by, "reason": reason})

    async def _step(self, tenant_id: UUID, said: dict[str, object]) -> None:
        async with transaction(self.engine, [tenant_id]) as connection:
            await connection.execute(_CHANGE, said)
            await connection.execute(_STEP, said | {"tenant": tenant_id, "step": uuid4(), "at": self.at})
