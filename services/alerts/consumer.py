"""Reads what scoring says and risk answers, batch by batch, each batch one transaction with its offsets.

When the process dies before the commit, the batch is read again from the stored offset; after it, from the next.
Kafka's own group offsets are written too, for lag tools only.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic

import aiokafka
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.errors import ContractError
from schemas.topics import ALLIANCE_SCORES, DEAD_LETTERS, RISK_ITEMS, Topic
from services.alerts.adapters.batch import Taker
from services.alerts.adapters.offsets import LogReplaced, Overtaken, Progress, Rewound, stored_offsets
from services.alerts.fetched import Fetched
from services.alerts.guilty import blame, guilty
from services.alerts.metrics import AlertsMetrics
from services.alerts.settings import AlertsSettings
from services.platform import kafka, logs
from services.platform.db import is_transient, transaction
from services.platform.dead_letters import DeadLetterLimit, Origin, RawRecord, dead_letter, fault
from services.platform.positions import Found, stored_after

GROUP = "alerts"
POLL_MS = 200
METADATA_MS = 5_000
"""How soon a topic that was recreated is found again."""
AHEAD = 200
"""Records known to wait from which on the next fetch is read beside the transaction. With few, it would come with the
first of them alone, and all that came after it would wait for two transactions."""
TELL_SECONDS = 1.0
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
    _told_at: float = 0.0
    _taking: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a batch is written: where to go on is looked up after it, not beside it."""
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
                if not self._passes(error):
                    self.failure = error
                    raise
                self.metrics.retries.inc()
                logs.get("alerts.consumer").warning("starting again", reason=type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)

    @staticmethod
    def _passes(error: Exception) -> bool:
        """Whether starting again helps."""
        return isinstance(error, KafkaError | LogReplaced | Overtaken | Rewound) or is_transient(error)

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
            async with self._taking, transaction(self.engine) as connection:
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
        fetched = await self._fetch(consumer)
        while fetched is not None:
            fetched = await self._settle(consumer, producer, fetched)
            await self._note_lag(consumer, waiting=0 if fetched is None else fetched.count)
        await self._tell_kafka(consumer)
        await self._note_lag(consumer)

    async def _fetch(self, consumer: AIOKafkaConsumer) -> Fetched | None:
        """What comes next, decoded; `None` when nothing does, or partitions are being moved."""
        if not self._ready.is_set():
            return None
        assignment = self._assignments
        found = await consumer.getmany(timeout_ms=POLL_MS, max_records=self.settings.alerts_batch_records)
        if assignment != self._assignments:
            self._seek(consumer)  # read while partitions moved: read again, by whoever has them now
            return None
        if not found:
            return None
        fetched = Fetched(assignment, found)
        await fetched.read(self._topics)
        return fetched

    async def _settle(self, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer, fetched: Fetched) -> Fetched | None:
        """Take one fetch in; where much is known to wait, the next one is read meanwhile, and returned."""
        ahead = (await self._lag(consumer) or 0) >= AHEAD
        coming = asyncio.ensure_future(self._fetch(consumer)) if ahead else None
        try:
            async with self._taking:
                if fetched.assignment != self._assignments:
                    self._seek(consumer)
                    return None
                await self._take(producer, fetched)
            await self._tell_kafka(consumer)
            return await coming if coming else None
        finally:
            if coming:
                coming.cancel()
                await asyncio.gather(coming, return_exceptions=True)

    async def _take(self, producer: AIOKafkaProducer, fetched: Fetched) -> None:
        began = monotonic()
        for place, each in fetched.places.items():
            if each[0].offset < self._next[place]:
                raise Rewound(f"{place.topic}/{place.partition} is shorter than what was read of it")
        fetched.batch.progress = [self._progress(place, each) for place, each in fetched.places.items()]
        self._limit.saw(good=fetched.count - len(fetched.bad))
        await self._set_aside(producer, fetched.bad)
        await self._store(producer, fetched)
        self._next |= {place: each[-1].offset + 1 for place, each in fetched.places.items()}
        self._count(fetched, monotonic() - began)

    async def _store(self, producer: AIOKafkaProducer, fetched: Fetched) -> None:
        """Take the batch in; where episodes in it cannot be, their records are set aside and the others go on."""
        batch = fetched.batch
        try:
            await self.taker.take(batch)
        except Exception as error:
            if self._passes(error):
                raise
            theirs = await guilty(self.taker, batch)
            if not theirs:
                raise
            logs.get("alerts.consumer").error("set aside what cannot be taken in", episodes=len(theirs), exc_info=error)
            await self._set_aside(producer, [(each, blame(error)) for each in fetched.of(self._topics, theirs)])
            await self.taker.take(replace(batch.only(batch.episodes - theirs), progress=batch.progress))

    def _progress(self, place: TopicPartition, records: list[ConsumerRecord]) -> Progress:
        to = stored_after(records)
        place_and_start = (place.topic, place.partition, self._next[place])
        return Progress(*place_and_start, to.next_offset, to.last_offset, to.digest, to.last_at)

    async def _set_aside(self, producer: AIOKafkaProducer, bad: Sequence[tuple[ConsumerRecord, ContractError]]) -> None:
        """To the dead letters, acknowledged before the batch is: killed in between, they go there twice, never not.

        Raises:
            TooManyDeadLetters: the fault is ours.
        """
        for record, error in bad:
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
        self._limit.saw(bad=[fault(error.code, record.key) for record, error in bad])

    async def _tell_kafka(self, consumer: AIOKafkaConsumer) -> None:
        """For lag tools alone: where to go on is in the records."""
        if self._next and monotonic() - self._told_at >= TELL_SECONDS:
            with contextlib.suppress(CommitFailedError, IllegalStateError, KafkaError):
                await consumer.commit(self._next)
            self._told_at = monotonic()

    async def _lag(self, consumer: AIOKafkaConsumer) -> int | None:
        """How much is known to wait beyond what was fetched; `None` before that is known of every partition.

        Positions, not record offsets: a log ends with a transaction's marker, which nobody reads.
        """
        ends = {place: consumer.highwater(place) for place in consumer.assignment()}
        known = {place: end for place, end in ends.items() if end is not None}
        lag = sum([max(0, end - await consumer.position(place)) for place, end in known.items()])
        return lag if ends and (lag or len(known) == len(ends)) else None

    async def _note_lag(self, consumer: AIOKafkaConsumer, waiting: int = 0) -> None:
        lag = await self._lag(consumer)
        self.metrics.lag.set((lag or 0) + waiting)
        self.caught_up = lag == 0 and not waiting

    def _count(self, fetched: Fetched, seconds: float) -> None:
        self.metrics.batch_seconds.observe(seconds)
        for place, each in fetched.places.items():
            self.metrics.records.labels(self._topics[place.topic].name).inc(len(each))
        oldest = min(record.timestamp for record in fetched.records) / 1000
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
