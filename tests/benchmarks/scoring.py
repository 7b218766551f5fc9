"""Scoring from a full topic, beside a bare loop with the same promises; one append; one episode's memory."""

from __future__ import annotations

import asyncio
import os
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING

from schemas import codec
from schemas.codec import Record
from schemas.topics import SESSION_EVENTS
from services.platform import kafka
from services.scoring import state, wire
from services.scoring.domain import episode
from services.scoring.domain.config import DEFAULT
from services.scoring.domain.facts import Fact
from services.scoring.handlers import on_facts
from services.scoring.settings import ScoringSettings
from tests.benchmarks.harness import Question, Row, alone, in_turn
from tests.scoring_facts import caseload
from tests.stack import running

if TYPE_CHECKING:
    from services.local.stack import LocalStack

CLIENTS, SESSIONS, PARTITIONS = 2_000, 10, 4
REAL = Question(
    "scoring-real",
    "scoring from a full topic, real core",
    "bare aiokafka loop, same core and promises",
    "events/s",
    0.9,
)
TRIVIAL = replace(REAL, name="scoring-trivial", step="scoring from a full topic, trivial core", at_least=0.8)
APPEND = Question("append", "append one rating to an episode of 20 sessions, all detectors", "-", "us", at_most=60)
ENCODE = Question("encode", "encode that episode", "its append", "us")


async def road(rounds: int) -> list[Row]:
    """Both cores, ours and the bare loop in turn, each run on topics of its own."""
    async with running() as stack:
        records = [codec.encode_fact(fact) for fact in caseload(5, CLIENTS, SESSIONS)]

        def measure(kind: str, core: str) -> Callable[[], asyncio.Future[float]]:
            return lambda: asyncio.ensure_future(_run(stack, records, kind, core))

        return [
            await in_turn(asked, measure("ours", core), measure("bare", core), rounds)
            for asked, core in ((REAL, "real"), (TRIVIAL, "trivial"))
        ]


async def _run(stack: LocalStack, records: list[Record], kind: str, core: str) -> float:
    prefix = f"b{uuid.uuid4().hex[:8]}-"
    settings = ScoringSettings(
        kafka_bootstrap=stack.kafka.bootstrap, kafka_topic_prefix=prefix, kafka_partitions=PARTITIONS
    )
    await kafka.create_topics(settings)
    await _fill(settings, records)
    told = {
        "ATTUNE_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "ATTUNE_KAFKA_TOPIC_PREFIX": prefix,
        "ATTUNE_KAFKA_PARTITIONS": str(PARTITIONS),
    }
    command = (sys.executable, "-m", "tests.benchmarks.scoring_runs", kind, core, str(len(records)))
    process = await asyncio.create_subprocess_exec(
        *command, env={**os.environ, **told}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    out, _ = await asyncio.wait_for(process.communicate(), 180)
    return float(out.decode().split()[-1])


async def _fill(settings: ScoringSettings, records: list[Record]) -> None:
    producer = kafka.producer(settings)
    await producer.start()
    for record in records:
        await producer.send(
            settings.topic(SESSION_EVENTS.name), record.value, key=record.key, headers=list(record.headers)
        )
    await producer.stop()


# ------------------------------------------------------------------------------------------------- one append


def history(sessions: int) -> tuple[list[Fact], Fact]:
    """The facts of an episode, and one rating later than all of them."""
    records = map(codec.encode_fact, caseload(3, 1, sessions))
    facts = [wire.to_domain(wire.decode(record.value, record.headers)) for record in records]
    versions = [fact.record_id for fact in facts]
    last = next(fact for fact in reversed(facts) if fact.rating and versions.count(fact.record_id) == 1)
    rest = [fact for fact in facts if fact is not last]
    return rest, last._replace(occurred_at=max(fact.occurred_at for fact in rest) + 1)


def micros(work: Callable[[], object], times: int = 300) -> float:
    """The median over a few loops."""
    taken = []
    for _ in range(7):
        began = time.perf_counter()
        for _ in range(times):
            work()
        taken.append((time.perf_counter() - began) / times * 1e6)
    return median(taken)


async def append(rounds: int) -> list[Row]:
    """One rating more; the same at 400 sessions; the encoding beside it."""
    rest, new = history(20)
    held, _ = on_facts(DEFAULT, None, rest)
    long_rest, long_new = history(400)
    long_held, _ = on_facts(DEFAULT, None, long_rest)
    taken = [micros(lambda: episode.step(DEFAULT, held.episode, [new])) for _ in range(rounds)]
    longer = micros(lambda: episode.step(DEFAULT, long_held.episode, [long_new]))
    encoded, long_encoded = len(state.encode(held)), len(state.encode(long_held))
    encoding = [micros(lambda: state.encode(held)) for _ in range(rounds)]
    decoding = micros(lambda: state.decode(state.encode(held)))
    return [
        alone(APPEND, taken, f"{longer:.0f} us at 400 sessions"),
        alone(
            ENCODE,
            encoding,
            f"{encoded:,} bytes of {len(rest)} facts, {long_encoded:,} of {len(long_rest)}; decoding {decoding:.0f} us",
        ),
    ]
