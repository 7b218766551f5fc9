"""One batch of records as one PostgreSQL transaction: what is known, what follows, and how far Kafka was read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas import events
from services.alerts.adapters import mirror, policies, risk, shadow
from services.alerts.adapters import statements as sql
from services.alerts.adapters.contracts import rated_of
from services.alerts.adapters.decisions import ClinicNow, Decisions
from services.alerts.adapters.mirror import EpisodeSnapshot, Reading, ReadingWithdrawn
from services.alerts.adapters.offsets import Progress, advance, columns
from services.alerts.domain.decide import fires
from services.platform.clock import Clock
from services.platform.db import is_transient, transaction

FALLBACK_CLIENTS = 200
"""From so many clients on a clinic is big enough for its own parameters."""


Event = TypeVar("Event", EpisodeSnapshot, Reading | ReadingWithdrawn)


@dataclass(slots=True)
class Batch:
    """Decoded records, the latest of each thing, its text to store, and the offsets they were read at."""

    snapshots: dict[UUID, EpisodeSnapshot] = field(default_factory=dict)
    readings: dict[UUID, Reading | ReadingWithdrawn] = field(default_factory=dict)
    risks: list[events.RiskAnswered] = field(default_factory=list)
    progress: list[Progress] = field(default_factory=list)
    texts: dict[UUID, str] = field(default_factory=dict)

    def add(self, event: object, text: str | None = None) -> None:
        """Keep what is newest; `text` is the event as it came, judged by the mirror of the contract."""
        match event:
            case EpisodeSnapshot():
                self._keep(self.snapshots, event.episode_id, event, text)
            case Reading() | ReadingWithdrawn():
                self._keep(self.readings, event.rating_id, event, text)
            case events.RiskAnswered():
                self.risks.append(event)
            case events.Conclusion():
                self.add(mirror.of(event))

    def _keep(self, latest: dict[UUID, Event], key: UUID, event: Event, text: str | None) -> None:
        known = latest.get(key)
        if known is None or event.newness >= known.newness:
            latest[key] = event
            self.texts[key] = text or mirror.text(event)

    @property
    def tenants(self) -> list[UUID]:
        every = (*self.snapshots.values(), *self.readings.values(), *self.risks)
        return sorted({event.tenant_id for event in every})

    @property
    def episodes(self) -> set[UUID]:
        """The episodes of which anything was said, risk answers included."""
        return self.touched | {event.episode_id for event in self.risks}

    def only(self, episodes: Collection[UUID]) -> Batch:
        """What of it is about these episodes; how far was read is not."""
        return Batch(
            {key: each for key, each in self.snapshots.items() if each.episode_id in episodes},
            {key: each for key, each in self.readings.items() if each.episode_id in episodes},
            [each for each in self.risks if each.episode_id in episodes],
            texts=self.texts,
        )

    @property
    def touched(self) -> set[UUID]:
        """The episodes of which scoring said anything."""
        return {event.episode_id for event in (*self.snapshots.values(), *self.readings.values())}


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
            await self._take(connection, batch)

    async def fails(self, batch: Batch) -> bool:
        """Whether this cannot be taken in; nothing of it stays.

        Raises:
            Exception: what passes, such as a lost connection.
        """
        try:
            async with transaction(self.engine, batch.tenants) as connection:
                await self._take(connection, batch)
                await connection.rollback()
        except Exception as error:
            if is_transient(error):
                raise
            return True
        return False

    async def _take(self, connection: AsyncConnection, batch: Batch) -> None:
        about = columns(batch.progress) | _clocks(batch) | {"clock_heard_at": self.clock.now()}
        kept = (await connection.execute(sql.TAKE, about | _snapshots(batch) | _readings(batch))).all()
        await advance(connection, batch.progress, {(row.topic, row.partition) for row in kept if row.what == "moved"})
        if not batch.tenants:
            return
        new = {row.episode_id: row.tenant_id for row in kept if row.what == "new"}
        clocks = [row for row in kept if row.what == "clock"]
        clinics, grown = await self._clinics(connection, clocks, set(new.values()))
        await risk.take(connection, clinics, batch.risks)
        live = {tenant: self.decisions.live(each).policy for tenant, each in clinics.items()}
        await shadow.note(connection, live, clinics, batch.readings.values())
        episodes = self._to_decide(batch, clinics) | grown | set(new)
        await self.decisions.redecide(connection, clinics, episodes, batch.touched)

    async def _clinics(
        self, connection: AsyncConnection, clocks: Sequence[Row[Any]], new: set[UUID]
    ) -> tuple[dict[UUID, ClinicNow], set[UUID]]:
        """Each clinic's now and size; and, where one has just outgrown the fallback, all it has to decide again."""
        clinics, again = {}, set[UUID]()
        own = await policies.in_force(connection, clocks, self.decisions.policy)
        small = await sizes(connection, [row.tenant_id for row in clocks if not row.grown])
        for row in clocks:
            clients = small.get(row.tenant_id, FALLBACK_CLIENTS)
            if not row.grown and clients >= FALLBACK_CLIENTS and row.tenant_id in new:
                await connection.execute(sql.GROW, {"tenant": row.tenant_id})
                again |= set((await connection.execute(sql.FALLBACK_EPISODES, {"tenant": row.tenant_id})).scalars())
            now = row.known_at or self.clock.now()
            clinics[row.tenant_id] = ClinicNow(now, row.swept_at, clients, row.shadow, own.get(row.tenant_id))
        return clinics, again

    def _to_decide(self, batch: Batch, clinics: Mapping[UUID, ClinicNow]) -> set[UUID]:
        """Episodes whose alerts may change though they have none: most readings set off nothing.

        New ones are decided anyway: their readings may have come in the batch before.
        """
        firing = {event.episode_id for event in batch.readings.values() if self._fires(event, clinics[event.tenant_id])}
        return firing | {each.episode_id for each in batch.snapshots.values() if _going(each, clinics[each.tenant_id])}

    def _fires(self, event: Reading | ReadingWithdrawn, clinic: ClinicNow) -> bool:
        rated = rated_of(event) if isinstance(event, Reading) else None
        return rated is not None and fires(self.decisions.live(clinic).policy, rated, clinic.clients)


def _going(snapshot: EpisodeSnapshot, clinic: ClinicNow) -> bool:
    """Whether the episode alone may set something off: somebody stays away, or may be about to."""
    likely = snapshot.dropout is not None and snapshot.dropout.since is not None
    late = snapshot.silent_amber_at is not None and snapshot.silent_amber_at <= clinic.as_of
    early = snapshot.attendance.missed_before_third and snapshot.attendance.attended < 3
    return snapshot.status == "open" and (late or early or likely)


async def sizes(connection: AsyncConnection, tenants: Sequence[UUID]) -> dict[UUID, int]:
    """How many clients each of these clinics has; no more than `FALLBACK_CLIENTS` are counted."""
    if not tenants:
        return {}
    counted = await connection.execute(sql.SIZES, {"tenants": tenants, "most": FALLBACK_CLIENTS})
    return {row.tenant_id: row.clients for row in counted}


def _clocks(batch: Batch) -> dict[str, Any]:
    """That these clinics are alive, and the now of those whose feed is the clock."""
    known: defaultdict[UUID, datetime | None] = defaultdict(lambda: None)
    told = [(each, each.known_at) for each in (*batch.snapshots.values(), *batch.readings.values())]
    for event, at in (*told, *((each, each.recorded_at) for each in batch.risks)):
        if event.clock == "feed":
            known[event.tenant_id] = max(known[event.tenant_id] or at, at)
    return {"clock_tenants": batch.tenants, "clock_known": [known[tenant] for tenant in batch.tenants]}


def _snapshots(batch: Batch) -> dict[str, list[Any]]:
    """The latest of each."""
    rows = sorted(batch.snapshots.values(), key=lambda each: each.episode_id)
    return {
        **_common(rows, "e_"),
        "e_clients": [each.client_id for each in rows],
        "e_owners": [each.owner_id for each in rows],
        "e_statuses": ["merged" if each.merged_into else each.status for each in rows],
        "e_opened": [each.opened_at for each in rows],
        "e_attended": [each.attendance.last_attended_at for each in rows],
        "e_due": [each.silent_amber_at if each.status == "open" else None for each in rows],
        "e_snapshots": [batch.texts[each.episode_id] for each in rows],
    }


def _readings(batch: Batch) -> dict[str, list[Any]]:
    """The latest of each; a withdrawn one has no text."""
    rows = sorted(batch.readings.values(), key=lambda each: each.rating_id)
    return {
        **_common(rows, "r_"),
        "r_ratings": [each.rating_id for each in rows],
        "r_times": [each.occurred_at if isinstance(each, Reading) else None for each in rows],
        "r_readings": [batch.texts[each.rating_id] if isinstance(each, Reading) else None for each in rows],
    }


def _common(rows: Sequence[mirror.Conclusion], prefix: str) -> dict[str, list[Any]]:
    return {
        f"{prefix}tenants": [each.tenant_id for each in rows],
        f"{prefix}episodes": [each.episode_id for each in rows],
        f"{prefix}engines": [each.revision.engine for each in rows],
        f"{prefix}facts": [each.revision.facts for each in rows],
    }
