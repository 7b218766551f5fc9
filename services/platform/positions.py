"""How far a log was read, kept where the effects are; and whether it is still the log that was read.

An offset alone lies: a topic that was recreated starts at 0 again, and a broker that lost power may have lost its last
seconds, so that other records get the offsets of the lost ones. The digest of the last record read tells it, and the
times of the records tell which of the two it was: a log that was cut still begins with what is older than the last
record read, a new one holds nothing as old.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
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
    is_old: bool = False
    """Something in it proves that it is the log that was read, whole or not."""


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


async def find(
    looker: AIOKafkaConsumer, stored: Mapping[TopicPartition, Stored], wanted: Iterable[TopicPartition]
) -> dict[TopicPartition, Found]:
    """Hold what is stored of the wanted partitions against their logs. `looker` is a consumer of its own.

    A partition that holds nothing old may have lost all it held: where another partition of its topic proves that the
    topic is the old one, it was cut like that one.
    """
    places = [place for place in wanted if place in stored]
    found = await _find_each(looker, {place: stored[place] for place in places})
    doubtful = {place.topic for place, each in found.items() if each.log == "recreated"}
    if doubtful:
        beside = {place: each for place, each in stored.items() if place.topic in doubtful and place not in found}
        known = found | await _find_each(looker, beside)
        old = {place.topic for place, each in known.items() if each.is_old}
        lost = [place for place in places if found[place].log == "recreated" and place.topic in old]
        found |= {place: _emptied(place, stored[place], known) for place in lost}
    return found


def _emptied(place: TopicPartition, stored: Stored, known: Mapping[TopicPartition, Found]) -> Found:
    """Cut to nothing, when its neighbours were cut, or before its own last record was written."""
    times = [each.since for other, each in known.items() if other.topic == place.topic and each.since is not None]
    if stored.last_at is not None:
        times.append(stored.last_at - MARGIN)
    return Found("cut", known[place].next_offset, min(times, default=None), is_old=True)


async def _find_each(looker: AIOKafkaConsumer, stored: Mapping[TopicPartition, Stored]) -> dict[TopicPartition, Found]:
    looker.assign(list(stored))
    return {place: await _find(looker, place, each) for place, each in stored.items()}


async def _find(looker: AIOKafkaConsumer, place: TopicPartition, stored: Stored) -> Found:
    begin, end = await _ends(looker, place)
    if end >= stored.next_offset:
        there = await _first(looker, place, stored.last_offset) if stored.last_offset >= begin else None
        if there is None or (there.offset == stored.last_offset and digest(there) == stored.digest):
            return Found("same", max(stored.next_offset, begin), is_old=there is not None)
    first = await _first(looker, place, begin) if end > begin else None
    if first is None or stored.last_at is None or written_at(first) > stored.last_at:
        return Found("recreated", begin)
    last = await _last(looker, place, begin, end)
    since = min(stored.last_at, written_at(last or first)) - MARGIN
    resumed = await _from(looker, place, since, most=min(end, stored.next_offset))
    return Found("cut", resumed, since, is_old=True)


async def _ends(looker: AIOKafkaConsumer, place: TopicPartition) -> tuple[int, int]:
    begins, ends = await looker.beginning_offsets([place]), await looker.end_offsets([place])
    return begins[place], ends[place]


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
