"""The relay: publishes what waits in an outbox, then deletes it.

Published at least once, in order for each key. A row leaves the table only after Kafka has acknowledged it; killed in
between, the relay publishes it again, and readers know it by its identity. The relay takes what is there, never what
lies above a remembered number: numbers are given before commit, and a slow transaction's rows would be passed over.

Several replicas work at once, each on its own buckets of keys. The locks spare work, they do not carry the promise:
everybody publishes a key's rows from the oldest one left, and deletes only what is acknowledged, so whoever comes
second sends what the log has already. A replica that was frozen and wakes sends the rest of the rows it had read:
these were published by another meanwhile, come late as duplicates of older rows, and are known by their identity. The
first appearances of a key's rows are in order whatever happens.

Risk answers go first, then live facts, then bulk; within a lane the tenants take turns, so that nobody's backlog is
anybody else's delay. Bulk goes in small rounds, and the urgent lanes are looked at between them. A round is bounded in
bytes as well as rows. A replica works with several hands, each on its own part of the buckets: while one waits for
PostgreSQL, another sends.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Protocol

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
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from services.platform import kafka, logs
from services.platform.db import is_transient
from services.platform.outbox import statements as sql
from services.platform.outbox.buckets import Buckets
from services.platform.outbox.hands import FIRST, Hand, Round
from services.platform.outbox.publishing import publish
from services.platform.outbox.rows import Lane, Row
from services.platform.settings import Settings

POLL_SECONDS = 1.0
"""How long a missed notification may delay a row."""
HELD_SECONDS = 0.1
"""Between two small rounds, and between two looks whether bulk may go on."""
BULK_SECONDS = 0.05
"""How soon the bulk lane is looked at again that was empty: beside a stream of live rows, not after each of them."""
RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0)
BATCH_BYTES = 256 * 1024
"""Uncompressed bytes of a Kafka batch: one is acknowledged before the next, so few and large."""
_PRODUCER_LOST = (
    DuplicateSequenceNumber,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    KafkaTimeoutError,  # an expired batch leaves a hole in an idempotent producer's sequence
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
)
_PLANS = {
    # The plans are all index steps: statistics taken while the table was empty must not talk PostgreSQL out of them.
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "jit": "off",
    # And they are the same whatever the arguments: planning took six times as long as looking.
    "plan_cache_mode": "force_generic_plan",
    "application_name": "outbox relay",
}


ROUNDS = (Round((Lane.RISK, Lane.LIVE), 2_000, 4 << 20), Round((Lane.BULK,), 1_000, 1 << 20))
"""The most urgent first."""


class Observer(Protocol):
    """Who is told what the relay does: metrics, and the service's own bookkeeping."""

    @property
    def also(self) -> str:
        """SQL that goes on the deleting statement, about its rows `gone (tenant_id, event_id, topic)`; or nothing."""

    def published(self, rows: Sequence[Row]) -> None:
        """These are acknowledged and deleted."""

    def failed(self, reason: str) -> None:
        """A round failed and will be tried again."""


class Readers(Protocol):
    """Who reads what is published. While they are far behind, bulk waits, and live rows go in small rounds."""

    most: int | None
    """Rows of a live round, as last known; `None` where they keep up."""

    async def far_behind(self) -> bool:
        """As it is now."""


def producer(settings: Settings) -> AIOKafkaProducer:
    """A producer as a relay wants it: large batches, and none waits for company."""
    return kafka.producer(settings, linger_ms=0, max_batch_size=BATCH_BYTES)


@dataclass(slots=True)
class Relay:
    """Publishes one outbox table until told to stop. Takes its own connections, one for each hand and one for locks."""

    engine: AsyncEngine
    producer: AIOKafkaProducer
    table: str
    prefix: str
    observer: Observer
    hands: int = 2
    readers: Readers | None = None
    buckets: Buckets = field(init=False)
    _own: AsyncEngine = field(init=False)
    _hands: list[Hand] = field(init=False)

    def __post_init__(self) -> None:
        self._own = create_async_engine(
            self.engine.url,
            poolclass=NullPool,
            hide_parameters=True,
            isolation_level="AUTOCOMMIT",
            connect_args={"server_settings": _PLANS},
        )
        self._hands = [Hand() for _ in range(self.hands)]
        self.buckets = Buckets(self._own, self.table, self._wake, self._busy)

    def _wake(self, buckets: Iterable[int]) -> None:
        for place in {bucket % self.hands for bucket in buckets}:
            self._hands[place].woken.set()

    def _busy(self) -> frozenset[int]:
        return frozenset().union(*(hand.busy for hand in self._hands))

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`; whatever Kafka or PostgreSQL do meanwhile is waited out.

        Raises:
            KafkaError: the producer's own state is beyond repair (its sequence is broken, it was fenced, it was
                closed): the caller goes on with a new one.
        """
        keeping = asyncio.create_task(self.buckets.keep())
        waking = asyncio.create_task(self._on_stop(stop))
        hands = [asyncio.create_task(self._work(place, stop)) for place in range(self.hands)]
        working = asyncio.gather(*hands)
        try:
            done, _ = await asyncio.wait((working, keeping), return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                each.result()
        finally:
            # The locks go last, after the rounds in progress.
            await _end(*hands, waking)
            await _end(keeping)
            await self._own.dispose()

    async def _on_stop(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._wake(range(self.hands))

    async def _work(self, place: int, stop: asyncio.Event) -> None:
        failures = 0
        while not stop.is_set():
            try:
                async with self._own.connect() as connection:
                    while not stop.is_set():
                        await self._step(place, connection)
                        failures = 0
            except Exception as error:
                if isinstance(error, _PRODUCER_LOST) or not (is_transient(error) or isinstance(error, KafkaError)):
                    raise
                self._failed(error, failures)
                await _pause(stop, RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])
                failures += 1

    def _failed(self, error: Exception, attempt: int) -> None:
        reason = type(error).__name__
        self.observer.failed(reason)
        logs.get("outbox").warning("round failed, trying again", reason=reason, attempt=attempt)

    async def _step(self, place: int, connection: AsyncConnection) -> None:
        """One round, or wait for something to do."""
        hand = self._hands[place]
        drained, hand.drained = hand.drained and not hand.woken.is_set(), False
        hand.woken.clear()
        hand.busy = frozenset(bucket for bucket in self.buckets.owned if bucket % self.hands == place)
        try:
            worked = bool(hand.busy) and await self._round(hand, connection, ROUNDS[1:] if drained else ROUNDS)
        finally:
            hand.busy = frozenset()
        if hand.held:
            await asyncio.sleep(HELD_SECONDS)
        elif not worked:
            await _pause(hand.woken, BULK_SECONDS if hand.owes_bulk else POLL_SECONDS)

    async def _round(self, hand: Hand, connection: AsyncConnection, rounds: Sequence[Round]) -> bool:
        """Publish what waits, most urgent lanes first; whether there was anything."""
        most = self.readers.most if self.readers else None
        hand.held = most is not None
        for kind in rounds:
            bulk = Lane.BULK in kind.lanes
            hand.owes_bulk = bulk and monotonic() < hand.bulk_at
            if hand.owes_bulk:
                return False
            if bulk and self.readers is not None:
                hand.held = await self.readers.far_behind()
                if hand.held:
                    return False
            from_first = hand.after.get(kind, FIRST) == FIRST
            found = await self._waiting(hand, kind, most or kind.rows, connection)
            rows = _first_lane(found)
            if rows:
                await publish(self.producer, self.prefix, rows)
                values = {"numbers": [row.number for row in rows]}
                await connection.execute(sql.settle(self.table, self.observer.also), values)
                self.observer.published(rows)
                hand.held = hand.held and rows[0].lane != Lane.RISK
                hand.drained = not bulk and from_first and most is None and rows == found and hand.took_all(kind, rows)
                return True
            hand.bulk_at = monotonic() + BULK_SECONDS if bulk else hand.bulk_at
        return False

    async def _waiting(self, hand: Hand, kind: Round, most: int, connection: AsyncConnection) -> list[Row]:
        after = hand.after.get(kind, FIRST)
        values = {
            "lanes": list(kind.lanes),
            "buckets": sorted(hand.busy),
            "after": after,
            "tenants": kind.tenants,
            "rows": most,
            "bytes": kind.bytes,
        }
        found = (await connection.execute(sql.waiting(self.table), values)).all()
        rows = sorted(map(Row._make, found))
        hand.turn(kind, rows)
        if not rows and after != FIRST:
            return await self._waiting(hand, kind, most, connection)
        return rows


def _first_lane(rows: Sequence[Row]) -> Sequence[Row]:
    """Nothing is built or sent before a risk answer is acknowledged."""
    return rows if not rows or rows[-1].lane == rows[0].lane else [row for row in rows if row.lane == rows[0].lane]


async def _pause(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)


async def _end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
