"""One run over a full topic in a process of its own: `python -m tests.benchmarks.scoring_runs ours|bare real|trivial`.

The bare loop keeps every promise that scoring keeps (a fenced transaction for each chunk of a partition, the same
core, the same bytes, offsets each second), without Faust, its table, its assignment or its recovery.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import uvloop
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from schemas.topics import ALLIANCE_SCORES, EPISODES_CHANGELOG, SESSION_EVENTS
from services.platform import kafka, process
from services.platform.dead_letters import RawRecord
from services.scoring.app import ScoringApp, build_app, episode_scorer
from services.scoring.fitted import FittedEngines
from services.scoring.lanes import Scorer
from services.scoring.metrics import Metrics
from services.scoring.ports import Change
from services.scoring.scorer import EpisodeScorer, Table
from services.scoring.settings import ScoringSettings
from services.scoring.transaction import Writes, producer, write


@dataclass(slots=True)
class _Echo:
    """The trivial core's outcome: each record once as an answer, the last one of a key as its state."""

    scorer: Trivial
    records: list[ConsumerRecord]

    @property
    def writes(self) -> Writes:
        answers = [RawRecord(each.key, each.value, ()) for each in self.records]
        states = [RawRecord(key, value, ()) for key, value in {each.key: each.value for each in self.records}.items()]
        return ((self.scorer.scores, answers), (self.scorer.changelog, states))

    def keep(self, written: Mapping[str, int]) -> None:
        at = (self.scorer.changelog, self.records[0].partition, written[self.scorer.changelog])
        self.scorer.table.apply([Change(*at, each.key, each.value) for each in self.records])


@dataclass(slots=True)
class Trivial:
    """A core that does nothing, so that only the road is measured."""

    scores: str
    changelog: str
    table: Table

    def score(self, records: list[ConsumerRecord]) -> _Echo:
        for record in records:
            self.table.load(record.key)
        return _Echo(self, records)


def trivial(settings: ScoringSettings, table: Table) -> Trivial:
    return Trivial(settings.topic(ALLIANCE_SCORES.name), settings.topic(EPISODES_CHANGELOG.name), table)


# -------------------------------------------------------------------------------------------------------- ours


class Pace(NamedTuple):
    """Events a second, and what one took of this process's time, in us."""

    rate: float
    cpu_us: float


def nothing(_app: ScoringApp) -> None:
    """Start with an empty table."""


async def ours(
    settings: ScoringSettings,
    core: str,
    total: int,
    prepare: Callable[[ScoringApp], None] = nothing,
    between: tuple[float, float] = (0, 1),
) -> Pace:
    """From the first record fetched to the last one settled, or between two parts of the run."""

    def make(of: ScoringSettings, app: ScoringApp) -> Scorer:
        table = Table(app.episodes.data.get, app.episodes.apply_changelog_batch)
        return episode_scorer(of, app) if core == "real" else trivial(of, table)

    app = build_app(settings, make)
    prepare(app)
    running = asyncio.create_task(app.start())
    while not any(lane.backlog or lane.settled for lane in app.lanes.lanes.values()):  # noqa: ASYNC110 - looked at from outside
        await asyncio.sleep(0.001)
    begin, end = [await _settled(app, part * total) for part in between]
    await app.stop()
    running.cancel()
    events, seconds, busy = (after - before for before, after in zip(begin, end, strict=True))
    return Pace(events / seconds, 1e6 * busy / events)


async def _settled(app: ScoringApp, count: float) -> tuple[float, float, float]:
    """How many are settled, when, and after how much of this process's time, once so many are."""
    while (settled := app.metrics.events._value.get()) < count:  # noqa: ASYNC110 - looked at from outside
        await asyncio.sleep(0.002)
    return settled, time.perf_counter(), time.process_time()


# ---------------------------------------------------------------------------------------------------- the peer


@dataclass
class Bare:
    """A loop over aiokafka with the same promises."""

    settings: ScoringSettings
    core: str
    table: dict[bytes, bytes | None] = field(default_factory=dict)
    settled: dict[int, int] = field(default_factory=dict)

    def _scorer(self) -> Scorer:
        table = Table(self.table.get, self._apply)
        return (
            EpisodeScorer(self.settings, FittedEngines(), table, Metrics())
            if self.core == "real"
            else trivial(self.settings, table)
        )

    def _apply(self, changes: list[Change]) -> None:
        self.table.update((change.key, change.value) for change in changes)

    async def run(self, total: int) -> float:
        """Events a second, likewise."""
        topic, count = self.settings.topic(SESSION_EVENTS.name), self.settings.kafka_partitions
        consumer = kafka.consumer(self.settings, group="bare", max_poll_records=8 * self.settings.scoring_chunk_records)
        await consumer.start()
        places = [TopicPartition(topic, number) for number in range(count)]
        consumer.assign(places)
        producers = [producer(self.settings, number) for number in range(count)]
        await asyncio.gather(*(each.start() for each in producers))
        await consumer.seek_to_beginning(*places)
        scorer = self._scorer()
        committing = asyncio.create_task(self._commit(consumer, topic))
        queues: list[asyncio.Queue[list[ConsumerRecord]]] = [asyncio.Queue(2) for _ in places]
        done = [0] * count

        async def work(number: int) -> None:
            while True:
                records = await queues[number].get()
                for start in range(0, len(records), self.settings.scoring_chunk_records):
                    chunk = records[start : start + self.settings.scoring_chunk_records]
                    outcome = scorer.score(chunk)
                    outcome.keep(await write(producers[number], number, outcome.writes))
                    self.settled[number] = chunk[-1].offset + 1
                    done[number] += len(chunk)

        workers = [asyncio.create_task(work(number)) for number in range(count)]
        began = 0.0
        while sum(done) < total:
            for place, records in (await consumer.getmany(timeout_ms=5)).items():
                began = began or time.perf_counter()
                await queues[place.partition].put(records)
        seconds = time.perf_counter() - began
        for task in (*workers, committing):
            task.cancel()
        await asyncio.gather(*(each.stop() for each in producers))
        await consumer.stop()
        return total / seconds

    async def _commit(self, consumer: AIOKafkaConsumer, topic: str) -> None:
        while True:
            await asyncio.sleep(self.settings.scoring_commit_seconds)
            if self.settled:
                await consumer.commit({TopicPartition(topic, number): to for number, to in self.settled.items()})


async def _main(kind: str, core: str, total: int) -> None:
    settings = ScoringSettings()
    rate = (await ours(settings, core, total)).rate if kind == "ours" else await Bare(settings, core).run(total)
    sys.stdout.write(f"{rate}\n")


if __name__ == "__main__":
    process.tune()
    uvloop.run(_main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
