"""How far Kafka was read, kept where the effects are: in PostgreSQL, in the same transaction.

Two consumers that think they own a partition: the one whose start is not where the records say is overtaken, and its
batch changes nothing. Whether the log is still the one that was read, `services.platform.positions` tells.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerts.adapters import statements as sql
from services.platform.errors import AttuneError
from services.platform.positions import Found, Stored, find


class Overtaken(AttuneError):
    """Another consumer went on from here."""


class Rewound(AttuneError):
    """The log gives what was read before: it is shorter than it was. Whoever reads has to look what it is now."""


class LogReplaced(AttuneError):
    """The topic is not the one that was read before: it was recreated, and what it held is gone."""


@dataclass(frozen=True, slots=True)
class Progress:
    """One partition's share of a batch: from where it was read, to where, and what the last record was."""

    topic: str
    partition: int
    start: int
    next_offset: int
    last_offset: int
    digest: bytes
    last_at: datetime | None = None


async def advance(
    connection: AsyncConnection, progress: Sequence[Progress], moved: Collection[tuple[str, int]]
) -> None:
    """Note the partitions that were never read before; the others have moved on where they stood as the batch began.

    Raises:
        Overtaken: one did not.
    """
    waiting = [each for each in sorted(progress, key=_place) if _place(each) not in moved]
    if waiting:
        new = {tuple(row) for row in await connection.execute(sql.FIRST_OFFSETS, _columns(waiting))}
        waiting = [each for each in waiting if _place(each) not in new]
    if waiting:
        raise Overtaken(f"{waiting[0].topic}/{waiting[0].partition} was read further by another consumer")


def columns(progress: Sequence[Progress]) -> dict[str, list[Any]]:
    """The parameters that move each partition on, if it stands where the batch began."""
    ordered = sorted(progress, key=_place)
    return _columns(ordered) | {"starts": [each.start for each in ordered]}


def _place(progress: Progress) -> tuple[str, int]:
    return progress.topic, progress.partition


def _columns(progress: Sequence[Progress]) -> dict[str, list[Any]]:
    return {
        "topics": [each.topic for each in progress],
        "partitions": [each.partition for each in progress],
        "next": [each.next_offset for each in progress],
        "last": [each.last_offset for each in progress],
        "digests": [each.digest for each in progress],
        "times": [each.last_at for each in progress],
    }


async def stored_offsets(
    connection: AsyncConnection, looker: AIOKafkaConsumer, places: Sequence[TopicPartition]
) -> dict[TopicPartition, Found]:
    """Where to go on in each partition. `looker` is a consumer of its own, so that nothing read here is lost.

    A log that was cut heals: what alerts had read of the lost part it knows, what it had not read is published again by
    ingest's reconciler. A new log lacks what only a replay brings back.

    Raises:
        LogReplaced: a topic was recreated.
    """
    found = await find(looker, await _stored(connection), places)
    for place, each in found.items():
        if each.log == "recreated":
            raise LogReplaced(f"{place.topic}/{place.partition} was recreated", hint="attune replay --all")
        if each.log == "cut":
            values = {"topic": place.topic, "partition": place.partition, "next": each.next_offset}
            await connection.execute(sql.MOVE_BACK, values)
    begins = await looker.beginning_offsets([place for place in places if place not in found])
    return found | {place: Found("same", offset) for place, offset in begins.items()}


async def recreated(connection: AsyncConnection, looker: AIOKafkaConsumer) -> list[TopicPartition]:
    """Which partitions are not the ones that were read before: what `attune replay --all` makes whole."""
    stored, known = await _stored(connection), await looker.topics()
    found = await find(looker, stored, [place for place in stored if place.topic in known])
    return [place for place in stored if place not in found or found[place].log == "recreated"]


async def forget(connection: AsyncConnection, places: Iterable[TopicPartition]) -> None:
    """Read these partitions from their beginning: a record that is known changes nothing."""
    for place in places:
        await connection.execute(sql.FORGET_OFFSET, {"topic": place.topic, "partition": place.partition})


async def _stored(connection: AsyncConnection) -> dict[TopicPartition, Stored]:
    rows = (await connection.execute(sql.ALL_OFFSETS)).all()
    return {TopicPartition(row.topic, row.partition): Stored(*row[2:]) for row in rows}
