"""The alerts consumer from a full topic, beside a loop that only reads the same records and inserts the same rows.

The readings are the scorer's own, of two clinics that outgrew the fallback and many small ones. The clients rate well,
with a fall now and then, so that about one reading in fifty sets off a rule. Each run begins with an empty database.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import uvloop

from schemas import codec, events
from schemas.topics import ALLIANCE_SCORES, RISK_ITEMS
from services.alerts.adapters.batch import Taker
from services.alerts.adapters.contracts import rated_of
from services.alerts.adapters.decisions import Decisions
from services.alerts.consumer import Consumer
from services.alerts.domain.decide import fires
from services.alerts.domain.policy import DEFAULT
from services.alerts.metrics import AlertsMetrics
from services.alerts.settings import AlertsSettings
from services.platform import db, kafka, process
from services.platform.clock import SystemClock
from services.platform.dead_letters import RawRecord
from tests.benchmarks.alerts_bare import Reference, bare
from tests.benchmarks.harness import Question, Row, in_turn
from tests.scoring_facts import ITEMS, Bench, as_record, caseload
from tests.stack import Database, fresh_database, running

CLINICS = (300, 300, *(20,) * 20)
"""Clients of each clinic: two have outgrown the fallback."""
SESSIONS, CHUNK, PARTITIONS, RUN_SECONDS = 10, 500, 4, 180
FALLS = 0.03
"""Share of ratings with a fall; not every one is surprising, and what follows one may be."""
ASKED = Question(
    "alerts",
    "alerts consumer, about 2 % of readings flag",
    "bare aiokafka consumption, and the same rows inserted in the same batches",
    "records/s",
    0.6,
)


async def rows(rounds: int) -> list[Row]:
    said = load()
    async with running() as stack, fresh_database(stack.postgres) as reference:
        settings = AlertsSettings(
            kafka_bootstrap=stack.kafka.bootstrap, kafka_topic_prefix="bench-", kafka_partitions=PARTITIONS
        )
        await kafka.create_topics(settings, (ALLIANCE_SCORES, RISK_ITEMS))
        await _fill(settings, said)
        await _told(settings, "ours", len(said), reference)  # what is to be inserted, and every cache warm

        def run(kind: str) -> Callable[[], Awaitable[float]]:
            async def once() -> float:
                async with fresh_database(stack.postgres) as database:
                    return await _told(settings, kind, len(said), database, reference)

            return once

        row = await in_turn(ASKED, run("ours"), run("bare"), rounds)
    return [replace(row, note=f"{flagged(said):.1%} of the readings flag")]


# ---------------------------------------------------------------------------------------------------- the load


def load() -> list[RawRecord]:
    """What scoring says of all clinics, in the order of their weeks."""
    facts = [fact for number, clients in enumerate(CLINICS) for fact in _calm(number, clients)]
    bench = Bench()
    records = [as_record(fact) for fact in sorted(facts, key=lambda fact: (fact.recorded_at, fact.fact_id))]
    for start in range(0, len(records), CHUNK):
        bench.take(records[start : start + CHUNK])
    return bench.said


def _calm(number: int, clients: int) -> list[events.Fact]:
    """A caseload whose clients rate near a level of their own."""
    rng, levels = random.Random(number), dict[object, float]()
    return [
        fact.model_copy(update={"items": _answers(rng, levels.setdefault(fact.client_id, rng.uniform(8, 9.5)))})
        if isinstance(fact, events.RatingFact)
        else fact
        for fact in caseload(100 + number, clients, SESSIONS)
    ]


def _answers(rng: random.Random, level: float) -> dict[str, float]:
    fall = rng.uniform(1.5, 3.0) if rng.random() < FALLS else 0.0
    return {item: round(min(10.0, max(0.0, rng.gauss(level - fall, 0.3))), 1) for item in ITEMS}


def flagged(said: Sequence[RawRecord]) -> float:
    """The share of readings that set off a rule in a clinic of the fallback's size."""
    found = [codec.decode(ALLIANCE_SCORES, record.value, record.headers) for record in said]
    rated = [rated_of(each) for each in found if isinstance(each, events.Reading)]
    return sum(each is not None and fires(DEFAULT, each, CLINICS[-1]) for each in rated) / len(rated)


async def _fill(settings: AlertsSettings, said: Sequence[RawRecord]) -> None:
    producer = kafka.producer(settings)
    await producer.start()
    topic = settings.topic(ALLIANCE_SCORES.name)
    for record in said:
        await producer.send(topic, record.value, key=record.key, headers=list(record.headers))
    await producer.stop()


# ------------------------------------------------------------------------------------------ one run, in a process


async def _told(settings: AlertsSettings, kind: str, total: int, database: Database, *other: Database) -> float:
    """Records a second, as a process of its own says."""
    urls = (database.url("attune_alerts"), *(each.url("postgres") for each in other))
    command = (sys.executable, "-m", "tests.benchmarks.alerts", kind, settings.kafka_bootstrap, str(total), *urls)
    child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        out, _ = await asyncio.wait_for(child.communicate(), RUN_SECONDS)
    finally:
        if child.returncode is None:
            child.kill()
    return float(out.decode().split()[-1])


@dataclass
class Watch:
    """Records a second from the end of the first batch, so that neither joining nor the first fetch counts."""

    total: int
    first: int = 0
    began: float = 0.0

    def saw(self, so_far: int) -> float | None:
        """The figure, once all are in."""
        if so_far and not self.first:
            self.first, self.began = so_far, perf_counter()
        return (self.total - self.first) / (perf_counter() - self.began) if so_far >= self.total else None


async def ours(settings: AlertsSettings, total: int) -> float:
    engine, metrics, watch = db.create_engine(settings), AlertsMetrics(), Watch(total)
    consumer = Consumer(settings, engine, Taker(engine, Decisions(DEFAULT, metrics), SystemClock()), metrics)
    task = asyncio.create_task(consumer.run())
    taken = metrics.records.labels(ALLIANCE_SCORES.name)
    while (found := watch.saw(int(taken._value.get()))) is None:  # noqa: ASYNC110 - looked at from outside
        await asyncio.sleep(0.002)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await engine.dispose()
    return found


async def _main(kind: str, bootstrap: str, total: int, url: str, *reference: str) -> None:
    settings = AlertsSettings(
        kafka_bootstrap=bootstrap, kafka_topic_prefix="bench-", kafka_partitions=PARTITIONS, database_url=url
    )
    if kind == "ours":
        found = await ours(settings, total)
    else:
        found = await bare(settings, Watch(total).saw, url, await Reference.of(reference[0], total))
    sys.stdout.write(f"{found}\n")


if __name__ == "__main__":
    process.tune()
    uvloop.run(_main(sys.argv[1], sys.argv[2], int(sys.argv[3]), *sys.argv[4:]))
