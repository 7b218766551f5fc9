"""The rebuilder: scoring's table is only a cache of the inbox, and where it was lost, everything is published again.

A changelog never ends earlier than it did, unless it was deleted, recreated or cut. Where it was seen to end is kept in
PostgreSQL. That it ends earlier now is noted in one transaction with the beginning of a replay, so that whoever dies
afterwards leaves one to be finished. A replay of everything is long; it takes the bulk lane, and live facts pass it.

Not seen: a changelog that was lost between two looks and grew past its former end before the second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aiokafka import TopicPartition
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.topics import EPISODES_CHANGELOG
from services.ingest import replay
from services.ingest.answered import ends, looking
from services.ingest.metrics import RelayMetrics
from services.ingest.settings import RelaySettings
from services.platform import logs
from services.platform.db import transaction
from services.platform.forever import forever

REBUILD = replay.Scope(title="rebuild")
"""Everybody's facts, apart from an operator's `attune replay --all`: that one ends when its operator says so."""
Ends = Mapping[TopicPartition, int]
_SEEN = text("select topic, partition, next_offset from ingest.changelog_end for update")
_NOTE = text("""
    insert into ingest.changelog_end as e (topic, partition, next_offset) values (:topic, :partition, :end)
    on conflict (topic, partition) do update set next_offset = excluded.next_offset
""")
_UNFINISHED = text("select exists (select from ingest.replay where scope = :scope and finished_at is null)")


@dataclass(slots=True)
class Rebuilder:
    """Looks, every so often, whether the changelog is as long as it was."""

    settings: RelaySettings
    engine: AsyncEngine
    metrics: RelayMetrics

    async def run(self) -> None:
        """For ever, through every absence of Kafka and PostgreSQL."""
        await forever("relay.rebuilder", self.turn, pause=self.settings.reconcile_seconds)

    async def turn(self) -> int:
        """Look once, and finish what was begun; how many facts were published again."""
        lost, now = await self._look()
        if lost:
            await replay.begin(self.engine, REBUILD, lambda connection: _note(connection, now), anew=True)
            self.metrics.changelogs_lost.inc(len(lost))
            places = [f"{place.topic}-{place.partition}" for place in lost]
            logs.get("relay.rebuilder").warning("scoring's changelog lost its end: everything again", places=places)
        return await replay.run(self.engine, REBUILD) if await self._is_owed() else 0

    async def _look(self) -> tuple[list[TopicPartition], Ends]:
        """What was lost, and where the changelog ends now: asked under a lock, else another relay's note is newer."""
        async with looking(self.settings) as looker, transaction(self.engine) as connection:
            seen = await _seen(connection)
            now = await ends(self.settings, looker, EPISODES_CHANGELOG)
            lost = shorter(seen, now)
            if not lost:
                await _note(connection, now)
        return lost, now

    async def _is_owed(self) -> bool:
        async with transaction(self.engine) as connection:
            return bool((await connection.execute(_UNFINISHED, {"scope": REBUILD.name})).scalar_one())


def shorter(seen: Ends, now: Ends) -> list[TopicPartition]:
    """The partitions that end before where they were seen to end.

    >>> one, other = TopicPartition("changelog", 0), TopicPartition("changelog", 1)
    >>> shorter({one: 7, other: 7}, {one: 7, other: 6}) == [other]
    True
    """
    return sorted(place for place, end in now.items() if end < seen.get(place, 0))


async def _seen(connection: AsyncConnection) -> Ends:
    rows = await connection.execute(_SEEN)
    return {TopicPartition(row.topic, row.partition): row.next_offset for row in rows}


async def _note(connection: AsyncConnection, now: Ends) -> None:
    rows = [{"topic": place.topic, "partition": place.partition, "end": end} for place, end in sorted(now.items())]
    await connection.execute(_NOTE, rows)
