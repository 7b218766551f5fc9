"""Scoring from a full topic, beside a bare loop with the same promises."""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from schemas import codec
from schemas.codec import Record
from schemas.topics import SESSION_EVENTS
from services.platform import kafka
from services.scoring.settings import ScoringSettings
from tests.benchmarks.harness import Question, Row, in_turn
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
