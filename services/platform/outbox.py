"""The outbox: what a transaction wants published is a row in it; a relay publishes, then deletes.

Published at least once, in order for each key. A row leaves the table only after Kafka has acknowledged it; killed in
between, the relay publishes it again, and readers know it by its identity. The relay takes what is there, never what
lies above a remembered number: numbers are given before commit, and a slow transaction's rows would be passed over.

Risk answers go first, then live facts, then bulk; within a lane the tenants take turns, so that nobody's backlog is
anybody else's delay. One relay works at a time (an advisory lock); a second one stands by.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any, NamedTuple, Protocol
from uuid import UUID

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    DuplicateSequenceNumber,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    KafkaError,
    KafkaTimeoutError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
)
from aiokafka.partitioner import DefaultPartitioner
from sqlalchemy import BigInteger, Identity, LargeBinary, SmallInteger, String, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.orm import Mapped, mapped_column

from schemas.codec import Record
from services.platform import logs
from services.platform.db import is_transient

ROUND = 2_000
"""Most rows a round publishes."""
POLL_SECONDS = 1.0
"""How long a missed notification may delay a row."""
RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0)
_PRODUCER_LOST = (
    DuplicateSequenceNumber,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    KafkaTimeoutError,  # an expired batch leaves a hole in an idempotent producer's sequence
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
)


class Lane(IntEnum):
    """Which queue a row waits in; a lower one is emptied first."""

    RISK = 0
    LIVE = 1
    BULK = 2


class OutboxColumns:
    """The columns of an outbox table; a service gives it its own name and schema."""

    number: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    tenant_id: Mapped[UUID]
    event_id: Mapped[UUID]
    lane: Mapped[int] = mapped_column(SmallInteger)
    topic: Mapped[str] = mapped_column(String(100))
    key: Mapped[bytes] = mapped_column(LargeBinary)
    value: Mapped[bytes] = mapped_column(LargeBinary)
    headers: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]


class Outgoing(NamedTuple):
    """A record to publish: `topic` without the installation's prefix."""

    tenant_id: UUID
    event_id: UUID
    lane: Lane
    topic: str
    record: Record


async def append(connection: AsyncConnection, table: str, rows: Sequence[Outgoing]) -> None:
    """Put rows into an outbox, in the caller's transaction, and wake its relay at commit."""
    if not rows:
        return
    columns = {
        "tenants": [row.tenant_id for row in rows],
        "events": [row.event_id for row in rows],
        "lanes": [int(row.lane) for row in rows],
        "topics": [row.topic for row in rows],
        "keys": [row.record.key for row in rows],
        "values": [row.record.value for row in rows],
        "headers": [msgspec.msgpack.encode(row.record.headers) for row in rows],
    }
    await connection.execute(_append(table), columns | {"channel": channel(table)})


def _append(table: str) -> Any:  # noqa: ANN401 - a SQL clause
    return text(f"""
        with woken as (select pg_notify(:channel, ''))
        insert into {table} (tenant_id, event_id, lane, topic, key, value, headers, created_at)
        select n.*, clock_timestamp() from unnest(
          cast(:tenants as uuid[]), cast(:events as uuid[]), cast(:lanes as smallint[]), cast(:topics as text[]),
          cast(:keys as bytea[]), cast(:values as bytea[]), cast(:headers as bytea[])) as n, woken
    """)  # noqa: S608 - `table` is a constant of ours


def channel(table: str) -> str:
    """The notification channel of an outbox.

    >>> channel("ingest.outbox")
    'ingest_outbox'
    """
    return table.replace(".", "_")


class Row(NamedTuple):
    """A row as the relay reads it."""

    number: int
    tenant_id: UUID
    event_id: UUID
    topic: str
    key: bytes
    value: bytes
    headers: bytes
    created_at: datetime


class Observer(Protocol):
    """Who is told what the relay does: metrics, and the service's own bookkeeping."""

    async def published(self, connection: AsyncConnection, rows: Sequence[Row]) -> None:
        """These are acknowledged; called in the transaction that deletes them."""

    def failed(self, reason: str) -> None:
        """A round failed and will be tried again."""


@dataclass(slots=True)
class Relay:
    """Publishes one outbox table until told to stop."""

    engine: AsyncEngine
    producer: AIOKafkaProducer
    table: str
    prefix: str
    observer: Observer
    holding: bool = False

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`; whatever Kafka or PostgreSQL do meanwhile is waited out.

        Raises:
            KafkaError: the producer's own state is beyond repair (its sequence is broken, it was fenced, it was
                closed): the caller goes on with a new one.
        """
        failures = 0
        log = logs.get("outbox")
        while not stop.is_set():
            try:
                await self._work(stop)
                failures = 0
            except Exception as error:
                if isinstance(error, _PRODUCER_LOST) or not (is_transient(error) or isinstance(error, KafkaError)):
                    raise
                self.observer.failed(type(error).__name__)
                log.warning("round failed, trying again", reason=type(error).__name__, attempt=failures)
                await _pause(stop, RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])
                failures += 1
            finally:
                self.holding = False

    async def _work(self, stop: asyncio.Event) -> None:
        async with self._turn(stop) as woken:
            while not stop.is_set() and woken is not None:
                woken.clear()
                if not await self._round():
                    await _either(woken, stop)

    @asynccontextmanager
    async def _turn(self, stop: asyncio.Event) -> AsyncIterator[asyncio.Event | None]:
        """Hold this table's lock on a connection that also listens; the lock ends with the connection."""
        woken = asyncio.Event()
        async with self.engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            driver = (await connection.get_raw_connection()).driver_connection
            assert driver is not None

            def lost(_: object) -> None:
                self.holding = False
                woken.set()

            def wake(*_: object) -> None:
                woken.set()

            driver.add_termination_listener(lost)
            await driver.add_listener(channel(self.table), wake)
            try:
                self.holding = await self._lock(connection, stop)
                yield woken if self.holding else None
            finally:
                with contextlib.suppress(Exception):
                    await driver.remove_listener(channel(self.table), wake)
                    await connection.execute(text("select pg_advisory_unlock_all()"))

    async def _lock(self, connection: AsyncConnection, stop: asyncio.Event) -> bool:
        query = text("select pg_try_advisory_lock(hashtextextended(:table, 0))")
        while not stop.is_set():
            if (await connection.execute(query, {"table": self.table})).scalar_one():
                return True
            await _pause(stop, POLL_SECONDS)
        return False

    async def _round(self) -> int:
        """Publish what waits, most urgent lane first; return how many rows."""
        if not self.holding:
            raise ConnectionError("the relay's lock is gone")
        for lane in Lane:
            rows = await self._waiting(lane)
            if rows:
                await self._publish(rows)
                await self._settle(rows)
                return len(rows)
        return 0

    async def _waiting(self, lane: Lane) -> list[Row]:
        async with self.engine.connect() as connection:
            tenants = (await connection.execute(_tenants(self.table), {"lane": lane})).scalars().all()
            if not tenants:
                return []
            share = max(1, ROUND // len(tenants))
            values = {"lane": lane, "tenants": list(tenants), "share": share}
            found = await connection.execute(_waiting(self.table), values)
            return [Row(*row) for row in found]

    async def _publish(self, rows: Sequence[Row]) -> None:
        partitioned: defaultdict[tuple[str, int], list[Row]] = defaultdict(list)
        for row in rows:
            topic = self.prefix + row.topic
            partitioned[topic, await self._partition(topic, row.key)].append(row)
        sends = (self._send(place, each) for place, each in partitioned.items())
        # All of them come to their end first: a round tried again must not overtake what is still on its way.
        ended = await asyncio.gather(*sends, return_exceptions=True)
        for error in ended:
            if error is not None:
                raise error

    async def _partition(self, topic: str, key: bytes) -> int:
        partitions = sorted(await self.producer.partitions_for(topic))
        return int(DefaultPartitioner()(key, partitions, partitions))

    async def _send(self, place: tuple[str, int], rows: Sequence[Row]) -> None:
        """Whole batches, in order: one is acknowledged before the next is sent."""
        topic, partition = place
        batch = self.producer.create_batch()
        for row in rows:
            if not _put(batch, row):
                await (await self.producer.send_batch(batch, topic, partition=partition))
                batch = self.producer.create_batch()
                _put(batch, row)
        await (await self.producer.send_batch(batch, topic, partition=partition))

    async def _settle(self, rows: Sequence[Row]) -> None:
        async with self.engine.begin() as connection:
            numbers = [row.number for row in rows]
            await connection.execute(
                text(f"delete from {self.table} where number = any(cast(:numbers as bigint[]))"),  # noqa: S608 - ours
                {"numbers": numbers},
            )
            await self.observer.published(connection, rows)


def _put(batch: Any, row: Row) -> bool:  # noqa: ANN401 - aiokafka is untyped
    headers = [tuple(header) for header in msgspec.msgpack.decode(row.headers)]
    return batch.append(key=row.key, value=row.value, headers=headers, timestamp=None) is not None


def _tenants(table: str) -> Any:  # noqa: ANN401 - a SQL clause
    """Who has rows in the lane: one index step per tenant, however long the backlogs."""
    return text(f"""
        with recursive t as (
          (select tenant_id from {table} where lane = :lane order by tenant_id limit 1)
          union all
          select (select o.tenant_id from {table} o where o.lane = :lane and o.tenant_id > t.tenant_id
                  order by o.tenant_id limit 1)
          from t where t.tenant_id is not null)
        select tenant_id from t where tenant_id is not null
    """)  # noqa: S608 - `table` is a constant of ours


def _waiting(table: str) -> Any:  # noqa: ANN401 - a SQL clause
    return text(f"""
        select r.* from unnest(cast(:tenants as uuid[])) as t(tenant_id) cross join lateral (
          select number, tenant_id, event_id, topic, key, value, headers, created_at from {table} o
          where o.lane = :lane and o.tenant_id = t.tenant_id order by number limit :share) r
        order by r.number
    """)  # noqa: S608 - `table` is a constant of ours


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


async def _either(woken: asyncio.Event, stop: asyncio.Event) -> None:
    tasks = [asyncio.create_task(event.wait()) for event in (woken, stop)]
    await asyncio.wait(tasks, timeout=POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
