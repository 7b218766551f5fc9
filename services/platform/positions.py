"""How far a log was read, kept where the effects are; and whether it is still the log that was read.

An offset alone lies: a topic that was recreated starts at 0 again, and a broker that lost power may have lost its last
seconds, so that other records get the offsets of the lost ones. The digest of the last record read tells it, and the
times of the records tell which of the two it was: a log that was cut still begins with what is older than the last
record read, a new one holds nothing as old.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

PEEK_MS = 5_000
MARGIN = timedelta(minutes=2)
"""Clocks of producers differ, and a machine writes to disk every half minute or so: of a cut log, so much is read
again. Readers know a record by its identity."""
LAST = 20
"""A log's last offsets may be markers of transactions, which nobody reads: its last record is looked for in so many."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a reader stands: the next offset, and what tells the last record it read from another one."""

    next_offset: int
    last_offset: int
    digest: bytes
    last_at: datetime | None


@dataclass(frozen=True, slots=True)
class Found:
    """What has become of the log, where to go on, and, where it was cut, since when records may be lost."""

    log: Literal["same", "cut", "recreated"]
    next_offset: int
    since: datetime | None = None


def digest(record: ConsumerRecord) -> bytes:
    """What tells a record from another at the same offset."""
    return hashlib.sha256(b"%d|" % record.timestamp + (record.key or b"") + b"|" + (record.value or b"")).digest()


def written_at(record: ConsumerRecord) -> datetime:
    """When its producer wrote it."""
    return datetime.fromtimestamp(record.timestamp / 1000, UTC)


def stored_after(records: Sequence[ConsumerRecord], next_offset: int | None = None) -> Stored:
    """Where a reader stands that has taken these records of one partition."""
    last = records[-1]
    return Stored(next_offset or last.offset + 1, last.offset, digest(last), written_at(last))


def from_here(next_offset: int) -> Stored:
    """Where a reader stands that has not read a record of this log."""
    return Stored(next_offset, -1, b"", None)


async def find(looker: AIOKafkaConsumer, place: TopicPartition, stored: Stored) -> Found:
    """Hold what is stored against the log. `looker` is a consumer of its own that has the partition assigned."""
    begin, end = await _ends(looker, place)
    if end >= stored.next_offset and (stored.last_offset < begin or await _still(looker, place, stored)):
        return Found("same", max(stored.next_offset, begin))
    first = await _first(looker, place, begin) if end > begin else None
    if first is None or stored.last_at is None or written_at(first) > stored.last_at:
        return Found("recreated", begin)
    last = await _last(looker, place, begin, end)
    since = min(stored.last_at, written_at(last or first)) - MARGIN
    return Found("cut", await _from(looker, place, since, most=min(end, stored.next_offset)), since)


async def _ends(looker: AIOKafkaConsumer, place: TopicPartition) -> tuple[int, int]:
    begins, ends = await looker.beginning_offsets([place]), await looker.end_offsets([place])
    return begins[place], ends[place]


async def _still(looker: AIOKafkaConsumer, place: TopicPartition, stored: Stored) -> bool:
    """Whether the record that was read last is there; where nothing can be read, nothing speaks against it."""
    record = await _first(looker, place, stored.last_offset)
    return record is None or (record.offset == stored.last_offset and digest(record) == stored.digest)


async def _first(looker: AIOKafkaConsumer, place: TopicPartition, offset: int) -> ConsumerRecord | None:
    looker.seek(place, offset)
    records = (await looker.getmany(place, timeout_ms=PEEK_MS, max_records=1)).get(place, [])
    return records[0] if records else None


async def _last(looker: AIOKafkaConsumer, place: TopicPartition, begin: int, end: int) -> ConsumerRecord | None:
    looker.seek(place, max(begin, end - LAST))
    records = (await looker.getmany(place, timeout_ms=PEEK_MS)).get(place, [])
    return records[-1] if records else None


async def _from(looker: AIOKafkaConsumer, place: TopicPartition, since: datetime, *, most: int) -> int:
    """The first offset that may hold another record than the one read there."""
    found = (await looker.offsets_for_times({place: int(since.timestamp() * 1000)}))[place]
    return min(most, found.offset) if found else most
