"""How far everything is, counted in PostgreSQL. What a role may not see, or is not there yet, is None."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine

from services.platform.db import transaction

_TENANTS = text("select tenant_id from access.tenant")
_FACTS = text("""
    select (select count(*) from ingest.inbox where tenant_id = any(:tenants)) as posted,
           (select count(*) from ingest.publication where tenant_id = any(:tenants)) as published,
           (select count(*) from ingest.outbox where tenant_id = any(:tenants)) as waiting,
           (select count(*) from ingest.outcome where tenant_id = any(:tenants)) as concluded,
           (select count(*) from ingest.outcome o join ingest.inbox i using (tenant_id, event_id)
             where o.tenant_id = any(:tenants) and o.outcome = 'scored'
               and i.type in ('rating.submitted', 'rating.amended')) as scored,
           (select count(*) from ingest.outcome
             where tenant_id = any(:tenants) and outcome = 'dead-lettered') as dead_letters
""")
_DECIDED = text("""
    select coalesce(sum(facts), 0) from alerts.episode where tenant_id = any(:tenants)
""")
_SWEPT = text("""
    select count(*) from alerts.tenant_clock where tenant_id = any(:tenants) and swept_at >= known_at
""")
_ALERTS = text("""
    select kind, severity, count(*) as alerts from alerts.alert
    where tenant_id = any(:tenants) and state <> 'withdrawn' group by kind, severity order by kind, severity
""")


@dataclass(frozen=True, slots=True)
class Facts:
    """Events by how far they came. `waiting` is the relay's lag, `unscored` that of scoring, in events."""

    posted: int
    published: int
    waiting: int
    concluded: int
    scored: int
    dead_letters: int

    @property
    def unscored(self) -> int:
        return max(0, self.posted - self.concluded)

    @property
    def settled(self) -> bool:
        """Everything that was posted has been concluded upon."""
        return not self.waiting and not self.unscored

    def as_json(self) -> dict[str, Any]:
        counted = asdict(self)
        return {
            **{name: counted[name] for name in ("posted", "published", "scored", "dead_letters")},
            "lags": {"relay": self.waiting, "scoring": self.unscored},
        }


@dataclass(frozen=True, slots=True)
class AlertCount:
    kind: str
    severity: str
    count: int


async def all_tenants(engine: AsyncEngine) -> list[UUID]:
    """Every tenant's id, for a role that may ask."""
    async with transaction(engine) as connection:
        return [row.tenant_id for row in await connection.execute(_TENANTS)]


async def facts(engine: AsyncEngine, tenants: Iterable[UUID]) -> Facts:
    """Counts over these tenants."""
    named = list(tenants)
    async with transaction(engine, named) as connection:
        row = (await connection.execute(_FACTS, {"tenants": named})).mappings().one()
    return Facts(**row)


async def alerts(engine: AsyncEngine, tenants: Iterable[UUID]) -> list[AlertCount] | None:
    """Alerts that were not withdrawn, by kind and severity."""
    named = list(tenants)
    try:
        async with transaction(engine, named) as connection:
            found = await connection.execute(_ALERTS, {"tenants": named})
            return [AlertCount(row.kind, row.severity, row.alerts) for row in found]
    except ProgrammingError:
        return None


async def swept(engine: AsyncEngine, tenants: Iterable[UUID]) -> int:
    """Of how many of these clinics, whose feed is the clock, the deadlines were looked at up to their now."""
    named = list(tenants)
    async with transaction(engine, named) as connection:
        return int((await connection.execute(_SWEPT, {"tenants": named})).scalar_one())


async def decided(engine: AsyncEngine, tenants: Iterable[UUID]) -> int | None:
    """How many facts alerts has decided upon: those that the latest snapshots hold, every fact being in one episode."""
    named = list(tenants)
    try:
        async with transaction(engine, named) as connection:
            return int((await connection.execute(_DECIDED, {"tenants": named})).scalar_one())
    except ProgrammingError:
        return None
