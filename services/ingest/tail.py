"""The receipts' tail: reads what scoring answered, and what was set aside, and writes it beside the inbox.

How far it read is written in the same transaction; what it reads twice it writes twice, to no effect. While Kafka is
away the door goes on; receipts then say `outcome` later. Where a log lost its end, the outcomes that it held are no
more than a memory: the tail says so, and the reconciler asks for them again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.topics import ALLIANCE_SCORES, DEAD_LETTERS
from services.ingest import positions
from services.ingest.metrics import IngestMetrics
from services.platform import kafka, logs
from services.platform.db import transaction
from services.platform.forever import forever
from services.platform.positions import Found, Stored, from_here, stored_after
from services.platform.settings import Settings

GROUP = "ingest-receipts"
RETRY_SECONDS = 2.0
GATHER_SECONDS = 0.1
"""A receipt can wait that long; a transaction for every few answers costs the door more than the posts do."""
_RANK = {"no-reading": 0, "dead-lettered": 1, "scored": 2}
_WRITE = text("""
    insert into ingest.outcome as o (tenant_id, event_id, outcome, at)
    select * from unnest(cast(:tenants as uuid[]), cast(:events as uuid[]), cast(:outcomes as text[]),
                         cast(:times as timestamptz[])) as n
    on conflict (tenant_id, event_id) do update set outcome = excluded.outcome, at = excluded.at
    where array_position(array['no-reading', 'dead-lettered', 'scored'], excluded.outcome)
        > array_position(array['no-reading', 'dead-lettered', 'scored'], o.outcome)
""")


class _Answer(msgspec.Struct):
    """As much of a conclusion as a receipt needs."""

    type: str
    tenant_id: UUID
    causes: tuple[UUID, ...]


_DECODER = msgspec.json.Decoder(_Answer)
Outcomes = dict[tuple[UUID, UUID], tuple[str, datetime]]


def outcomes(records: Sequence[ConsumerRecord], dead_letters: str) -> Outcomes:
    """The best outcome of each fact that these records speak of."""
    best: Outcomes = {}
    for record in records:
        at = datetime.fromtimestamp(record.timestamp / 1000, UTC)
        for key, outcome in _of(record, dead_letters):
            if key not in best or _RANK[outcome] > _RANK[best[key][0]]:
                best[key] = (outcome, at)
    return best


def _of(record: ConsumerRecord, dead_letters: str) -> Iterator[tuple[tuple[UUID, UUID], str]]:
    try:
        if record.topic == dead_letters:
            yield _dead(record), "dead-lettered"
            return
        answer = _DECODER.decode(record.value)
    except (msgspec.DecodeError, ValueError, KeyError, TypeError):
        return  # not ours to judge: whoever wrote it has said so elsewhere
    outcome = "scored" if answer.type == "reading" else "no-reading"
    for cause in answer.causes:
        yield (answer.tenant_id, cause), outcome


def _dead(record: ConsumerRecord) -> tuple[UUID, UUID]:
    told = dict(record.headers).get("ce_id")
    return UUID((record.key or b"").decode().split(":")[0]), UUID((told or b"").decode())


async def write(connection: AsyncConnection, found: Mapping[tuple[UUID, UUID], tuple[str, datetime]]) -> None:
    """Note outcomes; the transaction is bound to their tenants."""
    rows = sorted(found.items())
    columns: dict[str, list[Any]] = {
        "tenants": [tenant for (tenant, _), _ in rows],
        "events": [event for (_, event), _ in rows],
        "outcomes": [outcome for _, (outcome, _) in rows],
        "times": [at for _, (_, at) in rows],
    }
    if rows:
        await connection.execute(_WRITE, columns)


class Tail:
    """Follows the output topics until told to stop."""

    def __init__(self, settings: Settings, engine: AsyncEngine, metrics: IngestMetrics) -> None:
        self._settings = settings
        self._engine = engine
        self._metrics = metrics
        self._dead_letters = settings.topic(DEAD_LETTERS.name)
        self._next: dict[TopicPartition, int] = {}

    async def run(self) -> None:
        """For ever, through every absence of Kafka and PostgreSQL."""
        await forever(
            "ingest.tail", self._follow, pause=RETRY_SECONDS, failed=lambda: self._metrics.tail_running.set(0)
        )

    async def _follow(self) -> None:
        self._next = {}
        topics = (ALLIANCE_SCORES.name, DEAD_LETTERS.name)
        async with kafka.following(self._settings, *topics, group=GROUP) as consumer:
            self._metrics.tail_running.set(1)
            while True:
                await self._take(consumer)
                await asyncio.sleep(GATHER_SECONDS)

    async def _take(self, consumer: AIOKafkaConsumer) -> None:
        fetched = await consumer.getmany(timeout_ms=500, max_records=5_000)
        if self._is_elsewhere(consumer, fetched):
            await self._resume(consumer)  # what was fetched is read again, from where the records say
            return
        records = [record for each in fetched.values() for record in each]
        found = outcomes(records, self._dead_letters)
        moved = await self._moved(consumer, fetched)
        if not moved:
            return
        async with transaction(self._engine, {tenant for tenant, _ in found}) as connection:
            await write(connection, found)
            await positions.move(connection, moved)
        self._next |= {place: stored.next_offset for place, stored in moved.items()}
        await consumer.commit()  # for lag tools
        for outcome, _ in found.values():
            self._metrics.outcomes.labels(outcome).inc()

    def _is_elsewhere(
        self, consumer: AIOKafkaConsumer, fetched: Mapping[TopicPartition, Sequence[ConsumerRecord]]
    ) -> bool:
        """Whether other partitions were assigned, or one gives what was read of it before: its log is shorter now."""
        rewound = any(each[0].offset < self._next.get(place, 0) for place, each in fetched.items())
        return rewound or consumer.assignment() != self._next.keys()

    async def _moved(
        self, consumer: AIOKafkaConsumer, fetched: Mapping[TopicPartition, Sequence[ConsumerRecord]]
    ) -> dict[TopicPartition, Stored]:
        """Where each partition was read to that was read at all; a log's end may be markers that nobody reads."""
        at = {place: await consumer.position(place) for place in self._next}
        read = {place: stored_after(each, at[place]) for place, each in fetched.items()}
        passed = {place: from_here(to) for place, to in at.items() if to > self._next[place] and place not in read}
        return passed | read

    async def _resume(self, consumer: AIOKafkaConsumer) -> None:
        """Go on where the records say, in every partition that is assigned now."""
        places = consumer.assignment()
        looker = kafka.consumer(self._settings)
        await looker.start()
        try:
            async with transaction(self._engine) as connection:
                found = await positions.resume(connection, looker, places)
                new = [place for place in places if place not in found]
                found |= await positions.begin(connection, (consumer, looker), new)
        finally:
            await looker.stop()
        for place, each in found.items():
            consumer.seek(place, each.next_offset)
            if each.log != "same":
                self._say(place, each)
        self._next = {place: each.next_offset for place, each in found.items()}

    def _say(self, place: TopicPartition, found: Found) -> None:
        self._metrics.logs_lost.labels(found.log).inc()
        about = {"topic": place.topic, "partition": place.partition, "offset": found.next_offset}
        if found.log == "cut":
            logs.get("ingest.tail").error("the log lost its end: what it held is asked for again", **about)
        else:
            logs.get("ingest.tail").error("the topic was recreated", hint="attune replay --all", **about)
