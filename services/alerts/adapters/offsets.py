"""How far Kafka was read, kept where the effects are: in PostgreSQL, in the same transaction.

Two consumers that think they own a partition: the one whose start is not where the records say is overtaken, and its
batch changes nothing. A topic that was recreated starts at 0 again: its records are other records at the same offsets,
which a digest of the last one read tells; then nothing is skipped silently.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerts.adapters import statements as sql
from services.platform.errors import AttuneError

_PEEK_MS = 5_000


class Overtaken(AttuneError):
    """Another consumer went on from here."""


class LogReplaced(AttuneError):
    """The topic is not the one that was read before: recreated, or cut short."""


@dataclass(frozen=True, slots=True)
class Progress:
    """One partition's share of a batch: from where it was read, to where, and what the last record was."""

    topic: str
    partition: int
    start: int
    next_offset: int
    last_offset: int
    digest: bytes


def digest(record: ConsumerRecord) -> bytes:
    """What tells a record from another at the same offset."""
    return hashlib.sha256(b"%d|" % record.timestamp + (record.key or b"") + b"|" + (record.value or b"")).digest()


async def advance(connection: AsyncConnection, progress: Iterable[Progress]) -> None:
    """Move each partition on, if it stands where the batch began.

    Raises:
        Overtaken: it does not.
    """
    for each in progress:
        place = {"topic": each.topic, "partition": each.partition}
        values = place | {"next": each.next_offset, "last": each.last_offset, "digest": each.digest}
        moved = await connection.execute(sql.ADVANCE, values | {"from": each.start})
        if moved.rowcount == 0:
            moved = await connection.execute(sql.FIRST_OFFSET, values)
        if moved.rowcount == 0:
            raise Overtaken(f"{each.topic}/{each.partition} was read further by another consumer")


async def stored_offsets(
    connection: AsyncConnection, looker: AIOKafkaConsumer, places: Sequence[TopicPartition]
) -> dict[TopicPartition, int]:
    """Where to go on in each partition. `looker` is a consumer of its own, so that nothing read here is lost.

    Raises:
        LogReplaced: a log is shorter than what was read of it, or holds other records.
    """
    looker.assign(places)
    begins, ends = await looker.beginning_offsets(places), await looker.end_offsets(places)
    found = {}
    for place in places:
        about = {"topic": place.topic, "partition": place.partition}
        stored = (await connection.execute(sql.OFFSET, about)).one_or_none()
        if stored is None:
            found[place] = begins[place]
            continue
        if ends[place] < stored.next_offset:
            raise replaced(place, "it is shorter than what was read of it")
        if stored.last_offset >= begins[place] and await _other(looker, place, stored.last_offset, stored.digest):
            raise replaced(place, "it holds other records than those that were read")
        found[place] = stored.next_offset
    return found


def replaced(place: TopicPartition, why: str) -> LogReplaced:
    return LogReplaced(f"{place.topic}/{place.partition}: {why}", hint="the topic was recreated or lost: attune replay")


async def _other(looker: AIOKafkaConsumer, place: TopicPartition, offset: int, known: bytes) -> bool:
    """Whether the record at this offset is another one; if it is gone, retention took it and nothing can be said."""
    looker.seek(place, offset)
    fetched = await looker.getmany(place, timeout_ms=_PEEK_MS, max_records=1)
    records = fetched.get(place, [])
    return bool(records) and records[0].offset == offset and digest(records[0]) != known
