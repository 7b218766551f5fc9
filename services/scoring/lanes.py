"""One lane per source partition: its records in order, its own transactional producer, several lanes at a time.

A lane takes what waits (at most a chunk), lets the scorer say what follows, writes that as one transaction, then puts
the new states into the table, then counts the records as settled. Nothing is in the table that is not committed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Protocol

from aiokafka import AIOKafkaProducer, ConsumerRecord

from services.platform import logs
from services.platform.errors import Unavailable
from services.scoring.metrics import Metrics
from services.scoring.settings import ScoringSettings
from services.scoring.transaction import Aborted, Fenced, Writes, producer, write

ATTEMPTS = 8
FIRST_PAUSE_SECONDS = 0.05
END_SECONDS = 5.0
"""How long a lane may take to end its chunk when its partition is revoked; then the next owner's fence ends it."""


class Outcome(Protocol):
    """What follows from one chunk."""

    @property
    def writes(self) -> Writes: ...

    def keep(self, written: Mapping[str, int]) -> None:
        """It is committed, with these last offsets by topic: take it over."""


class Scorer(Protocol):
    """Says what follows from a chunk of one partition. Pure but for reading the table."""

    def score(self, records: list[ConsumerRecord]) -> Outcome: ...


@dataclass(slots=True)
class Lane:
    """One partition's work."""

    partition: int
    producer: AIOKafkaProducer
    backlog: list[ConsumerRecord] = field(default_factory=list)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    closing: bool = False
    settled: int | None = None
    waiting_since: float | None = None
    task: asyncio.Task[None] | None = None

    def take(self, most: int) -> list[ConsumerRecord]:
        taken, self.backlog = self.backlog[:most], self.backlog[most:]
        return taken

    def waited(self, now: float) -> float:
        """Seconds since records wait here and nothing was settled."""
        return 0.0 if self.waiting_since is None else now - self.waiting_since


class Lanes:
    """The lanes of this worker (the transport's `Sink`)."""

    def __init__(self, settings: ScoringSettings, scorer: Scorer, metrics: Metrics) -> None:
        self.settings = settings
        self.scorer = scorer
        self.metrics = metrics
        self.room = asyncio.Event()
        self.failure: BaseException | None = None
        self.lanes: dict[int, Lane] = {}
        self._log = logs.get("scoring.lanes")

    # ------------------------------------------------------------------ the transport's side

    async def assigned(self, partitions: set[int]) -> None:
        producers = {partition: producer(self.settings, partition) for partition in partitions}
        await asyncio.gather(*(each.start() for each in producers.values()))
        self.lanes = {partition: Lane(partition, each) for partition, each in producers.items()}
        for lane in self.lanes.values():
            lane.task = asyncio.create_task(self._run(lane), name=f"lane-{lane.partition}")
            lane.task.add_done_callback(self._ended)

    async def revoked(self) -> None:
        lanes = list(self.lanes.values())
        await asyncio.gather(*(self._close(lane) for lane in lanes))

    async def _close(self, lane: Lane) -> None:
        lane.closing = True
        lane.backlog.clear()
        lane.wake.set()
        if lane.task is not None:
            await asyncio.wait([lane.task], timeout=END_SECONDS)
            lane.task.cancel()
        stopping = asyncio.ensure_future(lane.producer.stop())
        await asyncio.wait([stopping], timeout=END_SECONDS)

    def offer(self, partition: int, records: list[ConsumerRecord]) -> None:
        lane = self.lanes[partition]
        lane.backlog += records
        lane.waiting_since = lane.waiting_since or monotonic()
        lane.wake.set()

    def has_room(self, partition: int) -> bool:
        lane = self.lanes.get(partition)
        return lane is not None and not lane.closing and len(lane.backlog) < 2 * self.settings.scoring_chunk_records

    def settled(self) -> Mapping[int, int]:
        return {partition: lane.settled for partition, lane in self.lanes.items() if lane.settled is not None}

    # ------------------------------------------------------------------ one lane's life

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("lane failed", name=task.get_name(), exc_info=error)
            self.failure = self.failure or error

    async def _run(self, lane: Lane) -> None:
        while not lane.closing:
            await lane.wake.wait()
            lane.wake.clear()
            while lane.backlog and not lane.closing:
                await self._settle(lane, lane.take(self.settings.scoring_chunk_records))
                self.room.set()

    async def _settle(self, lane: Lane, chunk: list[ConsumerRecord]) -> None:
        began = monotonic()
        outcome = self.scorer.score(chunk)
        self.metrics.compute_seconds.observe(monotonic() - began)
        outcome.keep(await self._write(lane, outcome.writes))
        lane.settled = chunk[-1].offset + 1
        lane.waiting_since = monotonic() if lane.backlog else None
        self.metrics.events.inc(len(chunk))
        self.metrics.chunk_records.observe(len(chunk))
        self.metrics.chunk_seconds.observe(monotonic() - began)

    async def _write(self, lane: Lane, writes: Writes) -> Mapping[str, int]:
        pause = FIRST_PAUSE_SECONDS
        for _ in range(ATTEMPTS):
            try:
                return await write(lane.producer, lane.partition, writes)
            except Fenced:
                self.metrics.fences.inc()
                raise
            except Aborted as error:
                self.metrics.retries.inc()
                self._log.warning("transaction aborted", partition=lane.partition, reason=str(error))
                await asyncio.sleep(pause)
                pause *= 2
        raise Unavailable(
            f"partition {lane.partition}: a transaction was aborted {ATTEMPTS} times", hint="look at the brokers' logs"
        )

    # ------------------------------------------------------------------ what probes ask

    def open(self) -> list[tuple[int, Lane]]:
        """The lanes of the partitions that are this worker's."""
        return [(partition, lane) for partition, lane in self.lanes.items() if not lane.closing]

    def stalled(self, seconds: float) -> list[int]:
        """Partitions whose records wait while nothing has been settled for this long."""
        now = monotonic()
        return [partition for partition, lane in self.open() if lane.waited(now) > seconds]
