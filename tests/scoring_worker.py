"""Scoring workers as processes, and the topics around them, for integration tests."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
from aiokafka import AIOKafkaConsumer, ConsumerRecord

from schemas import codec, events
from schemas.topics import ALLIANCE_SCORES, DEAD_LETTERS, SESSION_EVENTS
from services.platform import kafka
from services.scoring.settings import ScoringSettings

PARTITIONS = 4


def scoring_settings(bootstrap: str, prefix: str) -> ScoringSettings:
    return ScoringSettings(
        environment="local",
        kafka_bootstrap=bootstrap,
        kafka_topic_prefix=prefix,
        kafka_partitions=PARTITIONS,
        kafka_session_timeout_ms=6_000,
        scoring_chunk_records=200,
    )


@dataclass
class Worker:
    """One `python -m services.scoring`."""

    process: asyncio.subprocess.Process
    port: int

    async def ready(self) -> bool:
        try:
            async with httpx.AsyncClient() as client:
                answer = await client.get(f"http://127.0.0.1:{self.port}/readyz", timeout=2)
        except httpx.HTTPError:
            return False
        return answer.status_code == 200

    async def metrics(self) -> str:
        async with httpx.AsyncClient() as client:
            return (await client.get(f"http://127.0.0.1:{self.port}/metrics", timeout=2)).text

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self, seconds: float) -> int:
        return await asyncio.wait_for(self.process.wait(), seconds)


@asynccontextmanager
async def worker(settings: ScoringSettings, **more: str) -> AsyncIterator[Worker]:
    """A running worker, killed at the end whatever became of it."""
    port = free_port()
    own = {
        "ATTUNE_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "ATTUNE_KAFKA_TOPIC_PREFIX": settings.kafka_topic_prefix,
        "ATTUNE_KAFKA_PARTITIONS": str(settings.kafka_partitions),
        "ATTUNE_KAFKA_SESSION_TIMEOUT_MS": str(settings.kafka_session_timeout_ms),
        "ATTUNE_SCORING_CHUNK_RECORDS": str(settings.scoring_chunk_records),
        "ATTUNE_HTTP_PORT": str(port),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.scoring", env={**os.environ, **own, **more}
    )
    try:
        yield Worker(process, port)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
            await process.wait()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@dataclass
class Road:
    """The topics: facts in, conclusions and dead letters out, read as committed."""

    settings: ScoringSettings
    consumer: AIOKafkaConsumer
    producer: Any
    said: list[ConsumerRecord] = field(default_factory=list)
    dead: list[ConsumerRecord] = field(default_factory=list)
    answered: set[UUID] = field(default_factory=set)

    async def post(self, facts: Sequence[events.Fact]) -> None:
        for fact in facts:
            record = codec.encode_fact(fact)
            await self.post_raw(record.key, record.value, record.headers)
        await self.producer.flush()

    async def post_raw(self, key: bytes, value: bytes, headers: Sequence[tuple[str, bytes]] = ()) -> None:
        topic = self.settings.topic(SESSION_EVENTS.name)
        await self.producer.send(topic, value, key=key, headers=list(headers))

    async def read(self) -> None:
        for records in (await self.consumer.getmany(timeout_ms=100)).values():
            for record in records:
                if record.topic == self.settings.topic(DEAD_LETTERS.name):
                    self.dead.append(record)
                else:
                    self._conclusion(record)

    def _conclusion(self, record: ConsumerRecord) -> None:
        self.said.append(record)
        conclusion = codec.decode(ALLIANCE_SCORES, record.value, record.headers)
        if isinstance(conclusion, events.EpisodeSnapshot):
            self.answered |= set(conclusion.causes)

    async def until(self, true: Callable[[], bool], seconds: float) -> None:
        """Read until it holds."""
        ends = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < ends, f"{len(self.answered)} facts answered, {len(self.dead)} dead letters"
            await self.read()

    async def until_answered(self, facts: Sequence[events.Fact], seconds: float = 30.0) -> None:
        wanted = {fact.fact_id for fact in facts}
        await self.until(lambda: wanted <= self.answered, seconds)

    def values(self) -> list[bytes]:
        return [record.value for record in self.said]


@asynccontextmanager
async def road(settings: ScoringSettings) -> AsyncIterator[Road]:
    """Topics made, a producer of facts and a reader of what comes of them."""
    await kafka.create_topics(settings)
    producer = kafka.producer(settings)
    consumer = kafka.consumer(settings, ALLIANCE_SCORES.name, DEAD_LETTERS.name)
    await producer.start()
    await consumer.start()
    try:
        yield Road(settings, consumer, producer)
    finally:
        await consumer.stop()
        await producer.stop()


async def eventually(true: Callable[[], Any], seconds: float) -> None:
    """Wait until an awaited question is answered yes."""
    ends = time.monotonic() + seconds
    while not await true():
        assert time.monotonic() < ends, "it never came true"
        await asyncio.sleep(0.05)
