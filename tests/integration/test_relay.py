"""The relay between a real PostgreSQL and a real Kafka: everything at least once, in order, by whoever is alive."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from schemas.codec import Record
from schemas.topics import RISK_ITEMS, SESSION_EVENTS
from services.ingest.answered import SCORING_GROUP
from services.ingest.metrics import RelayMetrics
from services.ingest.models import OUTBOX
from services.ingest.relay.downstream import MOST_BEHIND, SMALL, Downstream
from services.platform import kafka, outbox
from services.platform.outbox import Lane, Outgoing, Relay, Row, append
from services.platform.outbox.rows import BUCKETS, bucket
from services.platform.settings import Settings
from tests.scoring_worker import free_port
from tests.stack import Database

LONG = 30.0


class Seen:
    """An observer that remembers the order of acknowledgement."""

    also = ""

    def __init__(self) -> None:
        self.rounds: list[list[Row]] = []
        self.failures: list[str] = []

    def published(self, rows: Sequence[Row]) -> None:
        self.rounds.append(list(rows))

    def failed(self, reason: str) -> None:
        self.failures.append(reason)


@pytest.fixture
async def settings(kafka_bootstrap: str, topic_prefix: str) -> Settings:
    made = Settings(
        environment="local", kafka_bootstrap=kafka_bootstrap, kafka_topic_prefix=topic_prefix, kafka_partitions=3
    )
    await kafka.create_topics(made, (SESSION_EVENTS, RISK_ITEMS))
    return made


@pytest.fixture
async def engine(database: Database) -> AsyncIterator[AsyncEngine]:
    made = create_async_engine(database.url("attune_relay"), pool_size=4)
    yield made
    await made.dispose()


async def fill(
    database: Database, count: int, *, tenant: UUID | None = None, lane: Lane = Lane.LIVE, first: int = 0
) -> None:
    """`count` rows over ten keys; each value is its place, counted from `first`."""
    topic = RISK_ITEMS.name if lane is Lane.RISK else SESSION_EVENTS.name
    rows = [
        Outgoing(tenant or UUID(int=1), uuid4(), lane, topic, Record(f"k{n % 10}".encode(), str(n).encode(), ()))
        for n in range(first, first + count)
    ]
    superuser = create_async_engine(database.url("postgres"))
    async with superuser.begin() as connection:
        await append(connection, OUTBOX, rows)
    await superuser.dispose()


async def left(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        return int((await connection.execute(text(f"select count(*) from {OUTBOX}"))).scalar_one())


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = LONG) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - another process's doing sets no event of ours
            await asyncio.sleep(0.05)


@asynccontextmanager
async def relaying(
    settings: Settings,
    engine: AsyncEngine,
    seen: Seen,
    hands: int = 2,
    readers: Downstream | None = None,
) -> AsyncIterator[Relay]:
    stop, producer = asyncio.Event(), outbox.producer(settings)
    await producer.start()
    relay = Relay(engine, producer, OUTBOX, settings.kafka_topic_prefix, seen, hands, readers)
    task = asyncio.create_task(relay.run(stop))
    try:
        yield relay
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)
        await producer.stop()


async def published(settings: Settings) -> dict[bytes, list[int]]:
    """Every value by key, in the order of the log; of several of one, the first."""
    consumer = kafka.consumer(settings, SESSION_EVENTS.name)
    await consumer.start()
    ends = await consumer.end_offsets(consumer.assignment())
    by_key: defaultdict[bytes, dict[int, None]] = defaultdict(dict)
    while any([await consumer.position(place) < end for place, end in ends.items()]):
        for records in (await consumer.getmany(timeout_ms=500)).values():
            for record in records:
                by_key[record.key].setdefault(int(record.value))
    await consumer.stop()
    return {key: list(values) for key, values in by_key.items()}


def in_order(count: int) -> dict[bytes, list[int]]:
    return {f"k{key}".encode(): list(range(key, count, 10)) for key in range(min(10, count))}


async def test_rows_reach_kafka_in_order_and_leave(settings: Settings, database: Database, engine: AsyncEngine) -> None:
    """Every row is in Kafka, in order for its key, and none is left."""
    await fill(database, 3_000)
    async with relaying(settings, engine, Seen()):
        await until(lambda: _is_empty(engine))
    assert await published(settings) == in_order(3_000)


async def test_risk_goes_first_and_tenants_take_turns(
    settings: Settings, database: Database, engine: AsyncEngine
) -> None:
    """A risk answer passes every backlog, and a small clinic is in the first live round beside a large one."""
    large, small = UUID(int=1), UUID(int=2)
    await fill(database, 5_000, tenant=large)
    await fill(database, 3, tenant=small)
    await fill(database, 2, tenant=large, lane=Lane.RISK)
    seen = Seen()
    async with relaying(settings, engine, seen, hands=1):
        await until(lambda: _is_empty(engine))
    assert {row.topic for row in seen.rounds[0]} == {RISK_ITEMS.name}
    assert sum(row.tenant_id == small for row in seen.rounds[1]) == 3


async def test_two_share_the_buckets_and_one_takes_over_what_the_other_loses(
    settings: Settings, database: Database, engine: AsyncEngine
) -> None:
    """Each holds half; when the locks' connections die they share again; when one leaves, the other holds all."""
    async with relaying(settings, engine, Seen()) as first:
        async with relaying(settings, engine, Seen()) as second:
            await until(lambda: _is(lambda: _shared(first, second)))
            await _end_the_holders(database)
            await fill(database, 500)
            await until(lambda: _is_empty(engine))
            await until(lambda: _is(lambda: _shared(first, second)))
        await until(lambda: _is(lambda: len(first.buckets.owned) == BUCKETS))
    assert await published(settings) == in_order(500)


async def test_live_goes_before_a_backfill_and_backfills_take_turns(
    settings: Settings, database: Database, engine: AsyncEngine
) -> None:
    """Live rows are first; a small backfill is in the first bulk round beside a large one; no round is large."""
    large, small = UUID(int=1), UUID(int=2)
    await fill(database, 4_000, tenant=large, lane=Lane.BULK)
    await fill(database, 40, tenant=small, lane=Lane.BULK)
    await fill(database, 4, tenant=large)
    seen = Seen()
    async with relaying(settings, engine, seen, hands=1):
        await until(lambda: _is_empty(engine))
    live, bulk = seen.rounds[0], seen.rounds[1:]
    assert [(row.lane, row.tenant_id) for row in live] == [(Lane.LIVE, large)] * 4
    assert sum(row.tenant_id == small for row in bulk[0]) == 40
    assert max(map(len, bulk)) <= 1_000


async def test_bulk_waits_while_scoring_is_far_behind(
    settings: Settings, database: Database, engine: AsyncEngine
) -> None:
    """Live rows pass a backfill that waits for scoring, by Kafka's own word, in small rounds; then it goes on."""
    downstream, seen = Downstream(settings, RelayMetrics()), Seen()
    async with _scoring(settings) as group:
        await group.commit(dict.fromkeys(group.assignment(), 0))
        await fill(database, MOST_BEHIND + 1)
        async with relaying(settings, engine, seen, hands=1, readers=downstream):
            await until(lambda: _is_empty(engine))
            await fill(database, 500, lane=Lane.BULK)
            await fill(database, 5)
            await until(lambda: _is(lambda: sum(map(len, seen.rounds)) == MOST_BEHIND + 6))
            assert await left(engine) == 500
            assert downstream.most == SMALL
            await fill(database, 300, tenant=UUID(int=1))
            await fill(database, 3, tenant=UUID(int=2))
            await until(lambda: _is(lambda: sum(map(len, seen.rounds)) == MOST_BEHIND + 309))
            assert max(map(len, seen.rounds[-2:])) <= SMALL
            await group.commit(await group.end_offsets(group.assignment()))
            await until(lambda: _is_empty(engine))
    await downstream.close()


@asynccontextmanager
async def _scoring(settings: Settings) -> AsyncIterator[AIOKafkaConsumer]:
    """A client that may commit as scoring's group does."""
    group = kafka.consumer(settings, group=SCORING_GROUP)
    await group.start()
    group.assign([TopicPartition(settings.topic(SESSION_EVENTS.name), number) for number in range(3)])
    yield group
    await group.stop()


async def test_a_round_is_bounded_in_bytes(settings: Settings, database: Database, engine: AsyncEngine) -> None:
    """Few large rows to a round: memory does not grow with what is posted."""
    large = Record(b"k", bytes(500_000), ())
    superuser = create_async_engine(database.url("postgres"))
    async with superuser.begin() as connection:
        rows = [Outgoing(UUID(int=1), uuid4(), Lane.BULK, SESSION_EVENTS.name, large) for _ in range(8)]
        await append(connection, OUTBOX, rows)
    await superuser.dispose()
    seen = Seen()
    async with relaying(settings, engine, seen):
        await until(lambda: _is_empty(engine))
    assert [len(each) for each in seen.rounds] == [3, 3, 2]  # until a mebibyte is reached


async def test_beside_the_version_before_buckets(settings: Settings, database: Database, engine: AsyncEngine) -> None:
    """What its ingest appends is published; while its relay holds the table, ours stands by."""
    superuser = create_async_engine(database.url("postgres"), isolation_level="AUTOCOMMIT")
    lock = {"table": OUTBOX}
    async with superuser.connect() as old, relaying(settings, engine, Seen()) as relay:
        await until(lambda: _is(lambda: len(relay.buckets.owned) == BUCKETS))
        other = await old.execute(text("select pg_try_advisory_lock(hashtextextended(:table, 0))"), lock)
        assert not other.scalar_one()
        await old.execute(
            text(
                "with woken as (select pg_notify('ingest_outbox', '')) insert into ingest.outbox"
                " (tenant_id, event_id, lane, topic, key, value, headers, created_at)"
                " select gen_random_uuid(), gen_random_uuid(), 1, 'session-events',"
                " convert_to('k' || n % 10, 'utf8'), convert_to(n::text, 'utf8'), '\\x90', clock_timestamp()"
                " from generate_series(0, 19) as n, woken"
            )
        )
        await until(lambda: _is_empty(engine))
    async with superuser.connect() as old:
        await old.execute(text("select pg_advisory_lock(hashtextextended(:table, 0))"), lock)
        async with relaying(settings, engine, Seen()) as relay:
            await asyncio.sleep(0.5)
            assert not relay.buckets.owned
    await superuser.dispose()
    assert await published(settings) == in_order(20)


@pytest.mark.parametrize("key", [b"", b"k", b"00000000-0000-0000-0000-000000000001:client", bytes(range(256))])
async def test_the_bucket_is_the_same_here_and_in_postgresql(engine: AsyncEngine, key: bytes) -> None:
    """A transaction wakes the hand that carries its rows."""
    async with engine.connect() as connection:
        query = text("select (get_byte(sha256(cast(:key as bytea)), 0) % 16)")
        assert (await connection.execute(query, {"key": key})).scalar_one() == bucket(key)


@pytest.mark.skipif("ATTUNE_LONG_FORM" not in os.environ, reason="Kafka's own 40 seconds: part of `make chaos`")
async def test_a_topic_that_is_not_there_loses_nothing(
    settings: Settings, database: Database, engine: AsyncEngine
) -> None:
    """The rows stay and the failure is counted, until somebody creates the topic."""
    bare = settings.model_copy(update={"kafka_topic_prefix": f"{settings.kafka_topic_prefix}bare-"})
    await fill(database, 20)
    seen = Seen()
    async with relaying(bare, engine, seen):
        await until(lambda: _is(lambda: bool(seen.failures)), 70)
        assert await left(engine) == 20
        await kafka.create_topics(bare, (SESSION_EVENTS,))
        await until(lambda: _is_empty(engine), 70)
    assert await published(bare) == in_order(20)


async def test_killed_in_the_middle_and_started_again(
    settings: Settings, database: Database, engine: AsyncEngine
) -> None:
    """SIGKILL while it publishes thousands: after the next start all were published, in order."""
    count = 20_000
    await fill(database, count)
    async with process(settings, database):
        await until(lambda: _between(engine, 1, count - 1))
    assert 0 < await left(engine) < count
    async with process(settings, database):
        await until(lambda: _is_empty(engine))
    assert await published(settings) == in_order(count)


async def test_three_at_once_one_killed_one_frozen(settings: Settings, database: Database, engine: AsyncEngine) -> None:
    """Under load: nothing is lost, the first appearances of a key are in order, whatever the frozen one does awake."""
    async with (
        process(settings, database),
        process(settings, database) as frozen,
        process(settings, database) as killed,
    ):
        await until(lambda: _replicas(database, 3))
        await fill(database, 3_000)
        frozen.send_signal(signal.SIGSTOP)
        for first in range(3_000, 9_000, 500):
            await fill(database, 500, first=first)
            if first == 4_000:
                killed.send_signal(signal.SIGKILL)
        await until(lambda: _is_empty(engine))
        frozen.send_signal(signal.SIGCONT)
        await fill(database, 1_000, first=9_000)
        await until(lambda: _is_empty(engine))
        await until(lambda: _replicas(database, 2))
    assert await published(settings) == in_order(10_000)


async def test_without_kafka_the_process_waits(database: Database) -> None:
    """Started before Kafka, it stays alive and ready to begin."""
    nowhere = Settings(environment="local", kafka_bootstrap=f"127.0.0.1:{free_port()}")
    async with process(nowhere, database) as started:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(started.wait(), 4)


async def _replicas(database: Database, count: int) -> bool:
    """Whether so many processes share all buckets."""
    superuser = create_async_engine(database.url("postgres"))
    async with superuser.connect() as connection:
        query = text(
            "select count(*) from pg_locks l join pg_database d on d.oid = l.database where locktype = 'advisory'"
            " and objsubid = 2 and mode = 'ExclusiveLock' and granted and datname = current_database() group by l.pid"
        )
        shares = (await connection.execute(query)).scalars().all()
    await superuser.dispose()
    return len(shares) == count and sum(shares) == BUCKETS


async def _is(condition: Callable[[], bool]) -> bool:
    return condition()


async def _is_empty(engine: AsyncEngine) -> bool:
    return await left(engine) == 0


async def _between(engine: AsyncEngine, least: int, most: int) -> bool:
    return least <= await left(engine) <= most


def _shared(first: Relay, second: Relay) -> bool:
    one, other = first.buckets.owned, second.buckets.owned
    return len(one) == len(other) == BUCKETS // 2 and not one & other


async def _end_the_holders(database: Database) -> None:
    superuser = create_async_engine(database.url("postgres"))
    async with superuser.begin() as connection:
        ended = await connection.execute(
            text(
                "select pg_terminate_backend(pid) from (select distinct l.pid from pg_locks l"
                " join pg_database d on d.oid = l.database"
                " where locktype = 'advisory' and granted and datname = current_database()) as holders"
            )
        )
        assert ended.scalars().all() == [True, True]
    await superuser.dispose()


@asynccontextmanager
async def process(settings: Settings, database: Database) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m services.ingest.relay`, killed at the end."""
    own: dict[str, Any] = {
        "ATTUNE_ENVIRONMENT": "local",
        "ATTUNE_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "ATTUNE_KAFKA_TOPIC_PREFIX": settings.kafka_topic_prefix,
        "ATTUNE_DATABASE_URL": database.url("attune_relay"),
        "ATTUNE_HTTP_PORT": str(free_port()),
    }
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.ingest.relay", env={**os.environ, **own}
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.send_signal(signal.SIGKILL)
        await started.wait()
