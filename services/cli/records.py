"""What `attune verify` reads: an episode's facts from the inbox, and what stands of it in alerts' records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.events import Reading
from services.alerts.adapters import policies
from services.alerts.domain.live_policy import LivePolicy
from services.alerts.domain.policy import Policy
from services.alerts.domain.reconcile import Stored
from services.alerts.domain.record import Done
from services.ingest import tenant_configs
from services.ingest.replay import Scope
from services.lab.recompute import Clinic, Standing
from services.platform.db import transaction
from services.scoring.fitted import FittedEngines

PAGE = 100
FALLBACK_CLIENTS = 200
Key = tuple[UUID, UUID]
"""Tenant and episode."""
_FACTS = text("""
    select i.tenant_id, i.episode_id, i.event_id, i.value, o.outcome from ingest.inbox i
    left join ingest.outcome o using (tenant_id, event_id)
    where i.tenant_id = any(:tenants) and i.client_id = any(:clients) and i.episode_id = any(:episodes)
    order by i.tenant_id, i.episode_id, i.received_at, i.event_id
""")
_HELD = text("""
    select tenant_id, episode_id, facts from alerts.episode
    where tenant_id = any(:tenants) and episode_id = any(:episodes)
""")
_READINGS = text("""
    select tenant_id, episode_id, rating_id, reading from alerts.reading
    where tenant_id = any(:tenants) and episode_id = any(:episodes) and not withdrawn
""")
_ALERTS = text("""
    select tenant_id, episode_id, alert_id, kind, severity, state, reason, historical, rule, rating_id from alerts.alert
    where tenant_id = any(:tenants) and episode_id = any(:episodes)
""")
_ACTS = text("""
    select a.tenant_id, a.episode_id, s.alert_id, s.action, s.at
    from alerts.step s join alerts.alert a using (tenant_id, alert_id)
    where a.tenant_id = any(:tenants) and a.episode_id = any(:episodes) and s.action in ('acknowledged', 'resolved')
""")
_CLINICS = text("""
    select t.tenant_id, c.swept_at, case when c.grown then :most else (select count(*) from (
      select distinct client_id from alerts.episode e where e.tenant_id = t.tenant_id limit :most) as n) end as clients,
      c.policy_version, c.policy_since
    from unnest(cast(:tenants as uuid[])) as t(tenant_id) left join alerts.tenant_clock c using (tenant_id)
""")


@dataclass(slots=True)
class Record:
    """All there is of one episode."""

    facts: list[bytes] = field(default_factory=list)
    dead: set[str] = field(default_factory=set)
    unanswered: int = 0
    held: int = 0
    readings: dict[UUID, Reading] = field(default_factory=dict)
    alerts: dict[UUID, Stored] = field(default_factory=dict)
    acts: defaultdict[UUID, tuple[Done, ...]] = field(default_factory=lambda: defaultdict(tuple))

    @property
    def standing(self) -> Standing:
        return Standing(self.readings, self.alerts, self.acts, self.held)


@dataclass(frozen=True, slots=True)
class Page:
    """Some episodes, and the clinics that they are of."""

    records: Mapping[Key, Record]
    clinics: Mapping[UUID, Clinic]
    engines: FittedEngines


async def count(engine: AsyncEngine, scope: Scope, tenants: Sequence[UUID]) -> int:
    """How many episodes there are."""
    query = text(f"select count(*) from ingest.episode i where {scope.where()}")  # noqa: S608 - columns are ours
    async with transaction(engine, tenants) as connection:
        return int((await connection.execute(query, scope.values)).scalar_one())


async def pages(
    engine: AsyncEngine, scope: Scope, tenants: Sequence[UUID], sample: int | None
) -> AsyncIterator[Sequence[Row[Any]]]:
    """Episodes as (tenant, episode, client): all of them in their order, or so many at random."""
    last: Row[Any] | None = None
    left = sample
    while left is None or left > 0:
        values = scope.values | {"page": PAGE if left is None else left}
        if last is not None:
            values |= {"tenant": last.tenant_id, "episode": last.episode_id}
        async with transaction(engine, tenants) as connection:
            found = (await connection.execute(_episodes(scope, sample, later=last is not None), values)).all()
        for start in range(0, len(found), PAGE):
            yield found[start : start + PAGE]
        if sample is not None or len(found) < PAGE:
            return
        last = found[-1]


def _episodes(scope: Scope, sample: int | None, *, later: bool) -> TextClause:
    after = " and (i.tenant_id, i.episode_id) > (:tenant, :episode)" if later else ""
    order = "i.tenant_id, i.episode_id" if sample is None else "random()"
    return text(f"""
        select i.tenant_id, i.episode_id, i.client_id from ingest.episode i where {scope.where()}{after}
        order by {order} limit :page
    """)  # noqa: S608 - columns are ours


async def read(engine: AsyncEngine, episodes: Sequence[Row[Any]], installation: Policy) -> Page:
    """These episodes at one moment. `installation`: the policy of clinics that have none of their own."""
    tenants = sorted({row.tenant_id for row in episodes})
    about = {"tenants": tenants, "episodes": [row.episode_id for row in episodes]}
    records: defaultdict[Key, Record] = defaultdict(Record)
    async with transaction(engine.execution_options(isolation_level="REPEATABLE READ"), tenants) as connection:
        for row in await connection.execute(_FACTS, about | {"clients": [row.client_id for row in episodes]}):
            _take_fact(records[row.tenant_id, row.episode_id], row)
        for row in await connection.execute(_HELD, about):
            records[row.tenant_id, row.episode_id].held = row.facts
        await _take_standing(connection, about, records)
        clinics = (await connection.execute(_CLINICS, {"tenants": tenants, "most": FALLBACK_CLIENTS})).all()
        own = await policies.in_force(connection, clinics, installation)
        engines = FittedEngines(await tenant_configs.known(connection, tenants))
        return Page(records, {row.tenant_id: _clinic(row, own) for row in clinics}, engines)


def _take_fact(record: Record, row: Row[Any]) -> None:
    record.facts.append(row.value)
    record.unanswered += row.outcome is None
    if row.outcome == "dead-lettered":
        record.dead.add(str(row.event_id))


async def _take_standing(connection: AsyncConnection, about: Mapping[str, Any], records: Mapping[Key, Record]) -> None:
    for row in await connection.execute(_READINGS, about):
        reading = Reading.model_validate(row.reading, strict=False)
        records[row.tenant_id, row.episode_id].readings[row.rating_id] = reading
    for row in await connection.execute(_ALERTS, about):
        said = (row.kind, row.severity, row.state, row.reason, row.historical, row.rule, row.rating_id)
        records[row.tenant_id, row.episode_id].alerts[row.alert_id] = Stored(row.alert_id, *said)
    for row in await connection.execute(_ACTS, about):
        records[row.tenant_id, row.episode_id].acts[row.alert_id] += (Done(row.action, row.at),)


def _clinic(row: Row[Any], own: Mapping[UUID, LivePolicy]) -> Clinic:
    return Clinic(row.clients, row.swept_at or datetime.min.replace(tzinfo=UTC), own.get(row.tenant_id))
