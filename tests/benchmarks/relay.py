"""The relay beside a bare producer of the same records, with the SELECT and the DELETE that nobody can avoid."""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import Sequence
from time import perf_counter
from uuid import UUID, uuid4

import asyncpg
import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import DefaultPartitioner
from sqlalchemy import NullPool
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from schemas.codec import Record
from schemas.topics import SESSION_EVENTS
from services.ingest.metrics import RelayMetrics
from services.ingest.models import OUTBOX
from services.ingest.relay.observer import PublicationNotes
from services.platform import kafka, outbox
from services.platform.clock import SystemClock
from services.platform.outbox import Lane, Outgoing, Relay, append
from services.platform.settings import Settings
from tests.benchmarks.harness import Question, Row, in_turn
from tests.stack import Database, fresh_database, running

ROWS, CLIENTS, TENANTS, PARTITIONS, ROUND = 30_000, 2_000, 4, 4, 2_000
ASKED = Question("relay", "relay", "bare producer, SELECT and DELETE, no notes", "records/s", 0.6)
_HEADERS = msgspec.msgpack.Decoder(list[tuple[str, bytes]])
HEADERS = (("ce_type", b"attune.rating.submitted.v1"), ("ce_id", b"x" * 36), ("ce_source", b"y" * 60))


async def rows(rounds: int) -> list[Row]:
    async with running() as stack, fresh_database(stack.postgres) as database:
        where = stack.kafka.bootstrap
        settings = Settings(kafka_bootstrap=where, kafka_topic_prefix="bench-", kafka_partitions=PARTITIONS)
        await kafka.create_topics(settings, (SESSION_EVENTS,))
        return [await in_turn(ASKED, lambda: _ours(settings, database), lambda: _bare(settings, database), rounds)]


async def _fill(database: Database) -> None:
    engine = create_async_engine(database.url("postgres"), poolclass=NullPool)
    for start in range(0, ROWS, 10_000):
        async with engine.begin() as connection:
            await append(connection, OUTBOX, [_outgoing(number) for number in range(start, start + 10_000)])
    await engine.dispose()


def _outgoing(number: int) -> Outgoing:
    tenant, client = UUID(int=1 + number % TENANTS), UUID(int=77_777 + number % CLIENTS)
    record = Record(f"{tenant}:{client}".encode(), os.urandom(100).hex().encode() * 2, HEADERS)
    return Outgoing(tenant, uuid4(), Lane.LIVE, SESSION_EVENTS.name, record)


async def _ours(settings: Settings, database: Database) -> float:
    await _fill(database)
    engine: AsyncEngine = create_async_engine(database.url("attune_relay"), pool_size=6)
    producer, metrics, stop = outbox.producer(settings), RelayMetrics(), asyncio.Event()
    await producer.start()
    relay = Relay(engine, producer, OUTBOX, settings.kafka_topic_prefix, PublicationNotes(metrics, SystemClock()))
    task = asyncio.create_task(relay.run(stop))
    published = metrics.published.labels(SESSION_EVENTS.name)
    while not relay.buckets.owned:  # noqa: ASYNC110 - looked at from outside
        await asyncio.sleep(0.001)
    began = perf_counter()
    while published._value.get() < ROWS:  # noqa: ASYNC110 - likewise
        await asyncio.sleep(0.002)
    seconds = perf_counter() - began
    stop.set()
    await task
    await producer.stop()
    await engine.dispose()
    return ROWS / seconds


async def _bare(settings: Settings, database: Database) -> float:
    await _fill(database)
    producer = outbox.producer(settings)
    await producer.start()
    connection = await asyncpg.connect(database.url("attune_relay").replace("+asyncpg", ""))
    topic, sent, began = settings.topic(SESSION_EVENTS.name), 0, perf_counter()
    while sent < ROWS:
        found = await connection.fetch(
            "select number, key, value, headers from ingest.outbox order by number limit $1", ROUND
        )
        await _publish(producer, topic, found)
        await connection.execute(
            "delete from ingest.outbox where number = any($1::bigint[])", [row[0] for row in found]
        )
        sent += len(found)
    seconds = perf_counter() - began
    await connection.close()
    await producer.stop()
    return ROWS / seconds


async def _publish(producer: AIOKafkaProducer, topic: str, found: Sequence[asyncpg.Record]) -> None:
    places, chosen = list(range(PARTITIONS)), DefaultPartitioner()
    by_partition: defaultdict[int, list[asyncpg.Record]] = defaultdict(list)
    for row in found:
        by_partition[chosen(row[1], places, places)].append(row)
    await asyncio.gather(*(_send(producer, topic, number, each) for number, each in by_partition.items()))


async def _send(producer: AIOKafkaProducer, topic: str, partition: int, found: Sequence[asyncpg.Record]) -> None:
    batch = producer.create_batch()
    for row in found:
        record = {"key": row[1], "value": row[2], "headers": _HEADERS.decode(row[3]), "timestamp": None}
        if batch.append(**record) is None:
            await (await producer.send_batch(batch, topic, partition=partition))
            batch = producer.create_batch()
            batch.append(**record)
    await (await producer.send_batch(batch, topic, partition=partition))
