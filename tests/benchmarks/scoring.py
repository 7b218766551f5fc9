"""Scoring from a full topic, beside a bare loop with the same promises, and beside what a user would pick instead."""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from schemas import codec
from schemas.codec import Record
from schemas.topics import ALLIANCE_SCORES, SESSION_EVENTS
from services.platform import kafka
from services.scoring.settings import ScoringSettings
from tests.benchmarks.harness import Question, Row, in_turn
from tests.scoring_facts import caseload
from tests.stack import running

CLIENTS, SESSIONS, PARTITIONS = 2_000, 10, 4
RUN_SECONDS = 180
REAL = Question(
    "scoring-real",
    "scoring from a full topic, real core",
    "bare aiokafka loop, same core and promises",
    "events/s",
    0.9,
)
TRIVIAL = replace(REAL, name="scoring-trivial", step="scoring from a full topic, trivial core", at_least=0.8)
QUIX = replace(
    TRIVIAL,
    name="scoring-quixstreams",
    beside="quixstreams, bytes, its own state and changelog, exactly once",
    at_least=3,
)
FAUST = replace(
    TRIVIAL, name="scoring-faust", beside="the obvious Faust agent: an event at a time, Records, Table", at_least=15
)
BENCH_PYTHON = ".venv/bench/bin/python"


@dataclass(frozen=True)
class Full:
    """A topic full of facts, made anew for each run."""

    bootstrap: str
    records: list[Record]

    def ours(self, core: str) -> Callable[[], Awaitable[float]]:
        return lambda: self._run(module("scoring_runs", "ours", core))

    def bare(self, core: str) -> Callable[[], Awaitable[float]]:
        return lambda: self._run(module("scoring_runs", "bare", core))

    def quix(self, guarantee: str, codec: str) -> Callable[[], Awaitable[float]]:
        script = (BENCH_PYTHON, "tests/benchmarks/peers/quix.py", guarantee, codec)
        return lambda: self._run(script, topics=True)

    def faust(self) -> Callable[[], Awaitable[float]]:
        return lambda: self._run(module("peers.obvious_faust"), topics=True)

    async def _run(self, command: tuple[str, ...], *, topics: bool = False) -> float:
        """Records a second that the command says of a topic of its own; to a peer the topics are named."""
        settings = self._settings()
        await kafka.create_topics(settings)
        await fill(settings, self.records)
        names = [settings.topic(topic.name) for topic in (SESSION_EVENTS, ALLIANCE_SCORES)] if topics else []
        return await told(settings, *command, *names, str(len(self.records)))

    def _settings(self) -> ScoringSettings:
        prefix = f"b{uuid.uuid4().hex[:8]}-"
        return ScoringSettings(kafka_bootstrap=self.bootstrap, kafka_topic_prefix=prefix, kafka_partitions=PARTITIONS)


async def road(rounds: int) -> list[Row]:
    """Both cores, ours and the bare loop in turn, each run on topics of its own."""
    async with running() as stack:
        full = Full(stack.kafka.bootstrap, [codec.encode_fact(fact) for fact in caseload(5, CLIENTS, SESSIONS)])
        return [
            await in_turn(asked, full.ours(core), full.bare(core), rounds)
            for asked, core in ((REAL, "real"), (TRIVIAL, "trivial"))
        ]


async def peers(rounds: int) -> list[Row]:
    """What a user would pick instead, with the trivial core. Faust promises less: at least once, unfenced."""
    async with running() as stack:
        full = Full(stack.kafka.bootstrap, [codec.encode_fact(fact) for fact in caseload(5, CLIENTS, SESSIONS)])
        quix = await in_turn(QUIX, full.ours("trivial"), full.quix("exactly-once", "bytes"), rounds)
        loose = [await full.quix("at-least-once", codec)() for codec in ("bytes", "json")]
        faust = await in_turn(FAUST, full.ours("trivial"), full.faust(), rounds)
    note = "quixstreams at least once: {:,.0f} in bytes, {:,.0f} in JSON, one round each".format(*loose)
    return [replace(quix, note=note), faust]


def module(name: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", f"tests.benchmarks.{name}", *arguments)


async def told(settings: ScoringSettings, *command: str) -> float:
    """The last number that the command says."""
    return (await said(settings, *command))[-1]


async def said(settings: ScoringSettings, *command: str) -> list[float]:
    """The numbers of the last line that the command says."""
    told = {
        "ATTUNE_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "ATTUNE_KAFKA_TOPIC_PREFIX": settings.kafka_topic_prefix,
        "ATTUNE_KAFKA_PARTITIONS": str(settings.kafka_partitions),
    }
    process = await asyncio.create_subprocess_exec(
        *command, env={**os.environ, **told}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), RUN_SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
    return [float(number) for number in out.decode().splitlines()[-1].split()]


async def fill(settings: ScoringSettings, records: list[Record]) -> None:
    producer = kafka.producer(settings)
    await producer.start()
    for record in records:
        await producer.send(
            settings.topic(SESSION_EVENTS.name), record.value, key=record.key, headers=list(record.headers)
        )
    await producer.stop()
