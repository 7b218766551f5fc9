"""Reads what scoring says and risk answers, batch by batch, each batch one transaction with its offsets.

When the process dies before the commit, the batch is read again from the stored offset; after it, from the next.
Kafka's own group offsets are written too, for lag tools only.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import aiokafka
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.codec import decode
from schemas.errors import ContractError
from schemas.topics import ALLIANCE_SCORES, DEAD_LETTERS, RISK_ITEMS, Topic
from services.alerts.adapters.batch import Batch, Taker
from services.alerts.adapters.offsets import LogReplaced, Overtaken, Progress, Rewound, stored_offsets
from services.alerts.metrics import AlertsMetrics
from services.alerts.settings import AlertsSettings
from services.platform import kafka, logs
from services.platform.db import is_transient, transaction
from services.platform.dead_letters import DeadLetterLimit, Fault, Origin, RawRecord, dead_letter, fault
from services.platform.positions import Found, stored_after

GROUP = "alerts"
POLL_MS = 200
METADATA_MS = 5_000
"""How soon a topic that was recreated is found again."""
RETRY_SECONDS = 1.0
REPLAY_SECONDS = 3.0
"""How often a consumer of a recreated log looks whether a replay has been started."""


@dataclass(slots=True)
class Consumer:
    """One consumer of the group; `caught_up` says that nothing waits on its partitions."""

    settings: AlertsSettings
    engine: AsyncEngine
    taker: Taker
    metrics: AlertsMetrics
    caught_up: bool = False
    failure: BaseException | None = None
    _limit: DeadLetterLimit = field(default_factory=DeadLetterLimit)
    _next: dict[TopicPartition, int] = field(default_factory=dict)
    _ready: asyncio.Event = field(default_factory=asyncio.Event)
    _assignments: int = 0
    _topics: dict[str, Topic] = field(init=False)

    def __post_init__(self) -> None:
        self._topics = {self.settings.topic(topic.name): topic for topic in (ALLIANCE_SCORES, RISK_ITEMS)}

    async def run(self) -> None:
        """For ever; what passes is waited out, what does not (a flood of bad records) is raised.

        Nothing is read of a recreated log until somebody replays; the API and the pages go on meanwhile.
        """
        while True:
            try:
                await self._follow()
            except LogReplaced as error:
                self.metrics.awaits_replay.set(1)
                logs.get("alerts.consumer").error(str(error), hint=error.hint)
                await asyncio.sleep(REPLAY_SECONDS)
            except Exception as error:
                self.caught_up = False
                if not (isinstance(error, KafkaError | Overtaken | Rewound) or is_transient(error)):
                    self.failure = error
                    raise
                self.metrics.retries.inc()
                logs.get("alerts.consumer").warning("starting again", reason=type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)

    async def _follow(self) -> None:
        self.pause()
        producer = kafka.producer(self.settings)
        consumer = kafka.consumer(self.settings, group=GROUP, metadata_max_age_ms=METADATA_MS)
        consumer.subscribe(topics=list(self._topics), listener=_Resuming(self, consumer))
        try:
            await producer.start()
            await consumer.start()
            while True:
                await self._poll(consumer, producer)
        finally:
            for client in (consumer, producer):
                with contextlib.suppress(KafkaError):
                    await client.stop()

    def pause(self) -> None:
        """Partitions are being moved: what a poll still brings is nobody's."""
        self._ready.clear()
        self._assignments += 1
        self.caught_up = False

    async def resume(self, consumer: AIOKafkaConsumer, places: Sequence[TopicPartition]) -> None:
        """Go on where the records say; nothing is read until then."""
        looker = kafka.consumer(self.settings)
        await looker.start()
        try:
            async with transaction(self.engine) as connection:
                found = await stored_offsets(connection, looker, places)
        finally:
            await looker.stop()
        self._next = {place: each.next_offset for place, each in found.items()}
        self._say(found)
        self._ready.set()
        self._seek(consumer)

    def _say(self, found: Mapping[TopicPartition, Found]) -> None:
        self.metrics.awaits_replay.set(0)
        for place in [place for place, each in found.items() if each.log == "cut"]:
            self.metrics.log_cut.inc()
            logs.get("alerts.consumer").error(
                "the log lost its end, going on before the loss; what nobody had read is published again",
                topic=place.topic,
                partition=place.partition,
                offset=self._next[place],
            )

    def _seek(self, consumer: AIOKafkaConsumer) -> None:
        """To where the records say; while partitions are still moving, `resume` will do it."""
        if self._ready.is_set():
            for place, offset in self._next.items():
                consumer.seek(place, offset)

    async def _poll(self, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer) -> None:
        if self.failure is not None:
            failed, self.failure = self.failure, None
            raise failed
        if not self._ready.is_set():
            # The group is joined, and partitions are assigned, while somebody polls.
            await asyncio.sleep(POLL_MS / 1000)
            return
        assignment = self._assignments
        fetched = await consumer.getmany(timeout_ms=POLL_MS, max_records=self.settings.alerts_batch_records)
        if assignment != self._assignments:
            self._seek(consumer)  # read while partitions moved: read again, by whoever has them now
            return
        records = [record for each in fetched.values() for record in each]
        if records:
            await self._take(producer, fetched, records)
            await self._tell_kafka(consumer, fetched)
        await self._note_lag(consumer)

    async def _take(
        self, producer: AIOKafkaProducer, fetched: dict[TopicPartition, list[ConsumerRecord]], records: list[Any]
    ) -> None:
        began = monotonic()
        for place, each in fetched.items():
            if each[0].offset < self._next[place]:
                raise Rewound(f"{place.topic}/{place.partition} is shorter than what was read of it")
        batch = Batch(progress=[self._progress(place, each) for place, each in fetched.items()])
        bad: list[Fault] = []
        for record in records:
            try:
                batch.add(decode(self._topics[record.topic], record.value, record.headers))
            except ContractError as error:
                bad.append(fault(error.code, record.key))
                await self._set_aside(producer, record, error)
        self._limit.saw(good=len(records) - len(bad), bad=bad)
        await self.taker.take(batch)
        self._next |= {place: each[-1].offset + 1 for place, each in fetched.items()}
        self._count(records, monotonic() - began)

    def _progress(self, place: TopicPartition, records: list[ConsumerRecord]) -> Progress:
        to = stored_after(records)
        place_and_start = (place.topic, place.partition, self._next[place])
        return Progress(*place_and_start, to.next_offset, to.last_offset, to.digest, to.last_at)

    async def _set_aside(self, producer: AIOKafkaProducer, record: ConsumerRecord, error: ContractError) -> None:
        """To the dead letters, acknowledged before the batch is: killed in between, it goes there twice, never not."""
        origin = Origin(record.topic, record.partition, record.offset)
        raw = RawRecord(record.key, record.value, tuple(record.headers))
        letter = dead_letter(origin, raw, code=error.code, reason=error.reason)
        await producer.send_and_wait(
            self.settings.topic(DEAD_LETTERS.name),
            key=letter.key,
            value=letter.value,
            headers=list(letter.headers),
            partition=record.partition,
        )
        self.metrics.dead_letters.labels(error.code).inc()

    async def _tell_kafka(self, consumer: AIOKafkaConsumer, fetched: Iterable[TopicPartition]) -> None:
        with contextlib.suppress(CommitFailedError, IllegalStateError, KafkaError):
            await consumer.commit({place: self._next[place] for place in fetched})

    async def _note_lag(self, consumer: AIOKafkaConsumer) -> None:
        """Positions, not record offsets: a log ends with a transaction's marker, which nobody reads."""
        ends = {place: consumer.highwater(place) for place in consumer.assignment()}
        known = {place: end for place, end in ends.items() if end is not None}
        lag = sum([max(0, end - await consumer.position(place)) for place, end in known.items()])
        self.metrics.lag.set(lag)
        self.caught_up = bool(ends) and len(known) == len(ends) and lag == 0

    def _count(self, records: list[ConsumerRecord], seconds: float) -> None:
        self.metrics.batch_seconds.observe(seconds)
        for record in records:
            self.metrics.records.labels(self._topics[record.topic].name).inc()
        oldest = min(record.timestamp for record in records) / 1000
        self.metrics.delay_seconds.observe(max(0.0, self.taker.clock.now().timestamp() - oldest))


class _Resuming(aiokafka.abc.ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    """Puts the consumer to the stored offsets whenever it is given partitions."""

    def __init__(self, owner: Consumer, consumer: AIOKafkaConsumer) -> None:
        self._owner = owner
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:  # noqa: ARG002 - aiokafka's own
        self._owner.pause()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        try:
            self._owner.pause()
            await self._owner.resume(self._consumer, list(assigned))
        except Exception as error:  # noqa: BLE001 - aiokafka would only log it; the poll raises it
            self._owner.failure = error
