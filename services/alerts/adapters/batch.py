"""One batch of records as one PostgreSQL transaction: what is known, what follows, and how far Kafka was read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.events import Conclusion, EpisodeSnapshot, Reading, ReadingWithdrawn, RiskAnswered
from services.alerts.adapters import owners, risk, shadow
from services.alerts.adapters import statements as sql
from services.alerts.adapters.contracts import rated_of
from services.alerts.adapters.decisions import ClinicNow, Decisions
from services.alerts.adapters.offsets import Progress, advance
from services.alerts.domain.decide import fires
from services.platform.clock import Clock
from services.platform.db import transaction

FALLBACK_CLIENTS = 200
"""From so many clients on a clinic is big enough for its own parameters."""


Event = TypeVar("Event", bound=Conclusion)


@dataclass(slots=True)
class Batch:
    """Decoded records, the latest of each thing, and the offsets they were read at."""

    snapshots: dict[UUID, EpisodeSnapshot] = field(default_factory=dict)
    readings: dict[UUID, Reading | ReadingWithdrawn] = field(default_factory=dict)
    risks: list[RiskAnswered] = field(default_factory=list)
    progress: list[Progress] = field(default_factory=list)

    def add(self, event: object) -> None:
        match event:
            case EpisodeSnapshot():
                _keep(self.snapshots, event.episode_id, event)
            case Reading() | ReadingWithdrawn():
                _keep(self.readings, event.rating_id, event)
            case RiskAnswered():
                self.risks.append(event)

    @property
    def tenants(self) -> list[UUID]:
        every = (*self.snapshots.values(), *self.readings.values(), *self.risks)
        return sorted({event.tenant_id for event in every})


def _keep(latest: dict[UUID, Event], key: UUID, event: Event) -> None:
    known = latest.get(key)
    if known is None or _revision(event) >= _revision(known):
        latest[key] = event


def _revision(event: Conclusion) -> tuple[int, int]:
    return (event.revision.engine, event.revision.facts)


@dataclass(slots=True)
class Taker:
    """Takes batches in."""

    engine: AsyncEngine
    decisions: Decisions
    clock: Clock

    async def take(self, batch: Batch) -> None:
        """All of the batch, or nothing.

        Raises:
            Overtaken: another consumer has gone on from these offsets: what this one read is its business no more.
        """
        async with transaction(self.engine, batch.tenants) as connection:
            await advance(connection, batch.progress)
            if not batch.tenants:
                return
            await self._hear(connection, batch)
            new = await _write_snapshots(connection, batch.snapshots.values())
            await _write_readings(connection, batch.readings.values())
            clinics, grown = await self._clinics(connection, batch.tenants, set(new.values()))
            await risk.take(connection, clinics, batch.risks)
            await shadow.note(connection, self.decisions.policy, clinics, batch.readings.values())
            episodes = await self._to_decide(connection, batch, clinics) | grown | set(new)
            await self.decisions.redecide(connection, clinics, episodes)
            await owners.follow(connection, batch.tenants, batch.snapshots)

    async def _hear(self, connection: AsyncConnection, batch: Batch) -> None:
        """Note that these clinics are alive, and the now of those whose feed is the clock."""
        known: defaultdict[UUID, datetime | None] = defaultdict(lambda: None)
        told = [(each, each.known_at) for each in (*batch.snapshots.values(), *batch.readings.values())]
        for event, at in (*told, *((each, each.recorded_at) for each in batch.risks)):
            if event.clock == "feed":
                known[event.tenant_id] = max(known[event.tenant_id] or at, at)
        values = {"tenants": batch.tenants, "known": [known[tenant] for tenant in batch.tenants]}
        await connection.execute(sql.HEAR, values | {"heard_at": self.clock.now()})

    async def _clinics(
        self, connection: AsyncConnection, tenants: Sequence[UUID], new: set[UUID]
    ) -> tuple[dict[UUID, ClinicNow], set[UUID]]:
        """Each clinic's now and size; and, where one has just outgrown the fallback, all it has to decide again."""
        clinics, again = {}, set[UUID]()
        for row in (await connection.execute(sql.CLOCKS, {"tenants": list(tenants)})).all():
            clients = FALLBACK_CLIENTS
            if not row.grown:
                clients = await _count(connection, row.tenant_id)
            if not row.grown and clients >= FALLBACK_CLIENTS and row.tenant_id in new:
                await connection.execute(sql.GROW, {"tenant": row.tenant_id})
                again |= set((await connection.execute(sql.FALLBACK_EPISODES, {"tenant": row.tenant_id})).scalars())
            clinics[row.tenant_id] = ClinicNow(row.known_at or self.clock.now(), row.swept_at, clients, row.shadow)
        return clinics, again

    async def _to_decide(
        self, connection: AsyncConnection, batch: Batch, clinics: Mapping[UUID, ClinicNow]
    ) -> set[UUID]:
        """Episodes whose alerts may change: most readings set off nothing, and their episodes have none.

        New ones are decided anyway: their readings may have come in the batch before.
        """
        touched = {event.episode_id for event in (*batch.snapshots.values(), *batch.readings.values())}
        about = {"tenants": batch.tenants, "episodes": list(touched)}
        with_alerts = set((await connection.execute(sql.WITH_ALERTS, about)).scalars())
        firing = {event.episode_id for event in batch.readings.values() if self._fires(event, clinics)}
        absent = {each.episode_id for each in batch.snapshots.values() if _absent(each, clinics[each.tenant_id])}
        return with_alerts | firing | absent

    def _fires(self, event: Reading | ReadingWithdrawn, clinics: Mapping[UUID, ClinicNow]) -> bool:
        rated = rated_of(event) if isinstance(event, Reading) else None
        return rated is not None and fires(self.decisions.policy, rated, clinics[event.tenant_id].clients)


def _absent(snapshot: EpisodeSnapshot, clinic: ClinicNow) -> bool:
    late = snapshot.silent_amber_at is not None and snapshot.silent_amber_at <= clinic.as_of
    early = snapshot.attendance.missed_before_third and snapshot.attendance.attended < 3
    return snapshot.status == "open" and (late or early)


async def _count(connection: AsyncConnection, tenant: UUID) -> int:
    counted = await connection.execute(sql.CLIENTS, {"tenant": tenant, "most": FALLBACK_CLIENTS})
    return int(counted.scalar_one())


async def _write_snapshots(connection: AsyncConnection, snapshots: Iterable[EpisodeSnapshot]) -> dict[UUID, UUID]:
    """Keep the latest of each; returns the new episodes, with their tenants."""
    rows = sorted(snapshots, key=lambda each: each.episode_id)
    if not rows:
        return {}
    columns: dict[str, list[Any]] = {
        "tenants": [each.tenant_id for each in rows],
        "episodes": [each.episode_id for each in rows],
        "clients": [each.client_id for each in rows],
        "owners": [each.owner_id for each in rows],
        "statuses": [each.status for each in rows],
        "opened": [each.opened_at for each in rows],
        "attended": [each.attendance.last_attended_at for each in rows],
        "due": [each.silent_amber_at if each.status == "open" else None for each in rows],
        "engines": [each.revision.engine for each in rows],
        "facts": [each.revision.facts for each in rows],
        "snapshots": [each.model_dump_json() for each in rows],
    }
    written = await connection.execute(sql.UPSERT_EPISODES, columns)
    return {row.episode_id: row.tenant_id for row in written if row.is_new}


async def _write_readings(connection: AsyncConnection, readings: Iterable[Reading | ReadingWithdrawn]) -> None:
    rows = sorted(readings, key=lambda each: each.rating_id)
    if not rows:
        return
    stand = [each if isinstance(each, Reading) else None for each in rows]
    columns: dict[str, list[Any]] = {
        "tenants": [each.tenant_id for each in rows],
        "ratings": [each.rating_id for each in rows],
        "episodes": [each.episode_id for each in rows],
        "times": [None if each is None else each.occurred_at for each in stand],
        "engines": [each.revision.engine for each in rows],
        "facts": [each.revision.facts for each in rows],
        "readings": [None if each is None else each.model_dump_json() for each in stand],
    }
    await connection.execute(sql.UPSERT_READINGS, columns)
