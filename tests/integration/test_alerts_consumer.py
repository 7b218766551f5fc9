"""The consumer between a real Kafka and a real PostgreSQL: offsets and effects are one, a replaced log is noticed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from uuid import UUID

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.admin import AIOKafkaAdminClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from schemas import codec, events
from schemas.topics import ALLIANCE_SCORES, DEAD_LETTERS, RISK_ITEMS, TOPICS
from services.alerts.adapters.batch import Taker
from services.alerts.adapters.decisions import Decisions
from services.alerts.adapters.offsets import forget, recreated
from services.alerts.consumer import Consumer
from services.alerts.domain.policy import DEFAULT
from services.alerts.metrics import AlertsMetrics
from services.alerts.settings import AlertsSettings
from services.platform import kafka
from services.platform.clock import HeldClock
from services.platform.db import transaction
from services.platform.dead_letters import TooManyDeadLetters
from tests.alerts_records import DAY, START, TENANT, reading, risk, snapshot
from tests.stack import Database
from tests.whole_road import until

PARTITIONS = 2


@dataclass(slots=True)
class Reader:
    """Alerts' consumer over topics and a database of the test's own."""

    settings: AlertsSettings
    engine: AsyncEngine
    operator: AsyncEngine

    def consumer(self) -> Consumer:
        metrics = AlertsMetrics()
        taker = Taker(self.engine, Decisions(DEFAULT, metrics), HeldClock(START + 300 * DAY))
        return Consumer(self.settings, self.engine, taker, metrics)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Consumer]:
        """A consumer at work; it dies, as by a kill, at the end of the block."""
        consumer = self.consumer()
        task = asyncio.create_task(consumer.run())
        try:
            yield consumer
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def send(self, topic: str, values: Sequence[bytes]) -> None:
        producer = kafka.producer(self.settings)
        await producer.start()
        for value in values:
            await producer.send_and_wait(self.settings.topic(topic), value, key=b"k", partition=0)
        await producer.stop()

    async def say(self, *said: events.Contract) -> None:
        await self.send(ALLIANCE_SCORES.name, [each.model_dump_json().encode() for each in said])

    async def letter(self) -> ConsumerRecord:
        """The first dead letter."""
        letters = kafka.consumer(self.settings, DEAD_LETTERS.name)
        await letters.start()
        try:
            return await asyncio.wait_for(letters.getone(), 20)
        finally:
            await letters.stop()

    async def count(self, query: str) -> int:
        async with transaction(self.engine, [TENANT]) as connection:
            return int((await connection.execute(text(query))).scalar_one())

    async def reaches(self, count: int, query: str) -> None:
        async def there() -> bool:
            return await self.count(query) == count

        await until(there, f"{count} by: {query}", within=30)


@pytest.fixture
async def reader(database: Database, kafka_bootstrap: str, topic_prefix: str) -> AsyncIterator[Reader]:
    settings = AlertsSettings(
        kafka_bootstrap=kafka_bootstrap,
        kafka_topic_prefix=topic_prefix,
        kafka_partitions=PARTITIONS,
        kafka_session_timeout_ms=6_000,
    )
    await kafka.create_topics(settings)
    engine, operator = (create_async_engine(database.url(role)) for role in ("attune_alerts", "attune_operator"))
    yield Reader(settings, engine, operator)
    await engine.dispose()
    await operator.dispose()


ALERTS = "select count(*) from alerts.alert"
STEPS = "select count(*) from alerts.step"
HELD = "select facts from alerts.episode"


async def test_killed_between_batches_it_goes_on_where_its_effects_end(reader: Reader) -> None:
    """What a killed consumer had committed is not taken twice; what it had not is not lost."""
    async with reader.running():
        await reader.say(reading(1, 36.0), reading(2, 29.0), snapshot())
        await reader.reaches(1, ALERTS)
    steps = await reader.count(STEPS)
    await reader.send(RISK_ITEMS.name, [risk(1, 2.0).model_dump_json().encode()])
    async with reader.running():
        await reader.reaches(2, ALERTS)
    assert await reader.count(STEPS) == steps + 1


async def test_what_cannot_be_read_is_set_aside_once(reader: Reader) -> None:
    """One dead letter with its place and reason; the records beside it are taken in."""
    fine = [each.model_dump_json().encode() for each in (reading(1, 36.0), reading(2, 29.0), snapshot())]
    async with reader.running():
        await reader.send(ALLIANCE_SCORES.name, [fine[0], b"\xff not an event", *fine[1:]])
        await reader.reaches(1, ALERTS)
    letter = await reader.letter()
    headers = dict(letter.headers)
    assert (letter.value, headers["dl_code"], headers["dl_offset"]) == (b"\xff not an event", b"undecodable", b"1")


async def test_an_episode_that_cannot_be_taken_in_is_set_aside_alone(reader: Reader) -> None:
    """The database refuses what one episode says: the others of its batch, risk answers too, do not wait for it."""
    poison = reading(3, 30.0)
    bad = poison.model_copy(
        update={
            "episode_id": UUID(int=99),
            "signals": (poison.signals[0].model_copy(update={"reason": "no text\0"}), *poison.signals[1:]),
        }
    )
    await reader.send(RISK_ITEMS.name, [risk(1, 2.0).model_dump_json().encode()])
    await reader.say(bad, reading(1, 36.0), reading(2, 29.0), snapshot())
    async with reader.running() as consumer:
        await reader.reaches(2, ALERTS)
        await reader.say(snapshot(4))
        await reader.reaches(4, HELD)
        assert consumer.metrics.dead_letters.labels("unprocessable")._value.get() == 1
    headers = dict((await reader.letter()).headers)
    assert (headers["dl_code"], headers["dl_offset"]) == (b"unprocessable", b"0")
    assert b"no text" not in headers["dl_reason"]


async def test_a_flood_of_bad_records_stops_it(reader: Reader) -> None:
    """When most of what comes is bad, the fault is ours: it stops instead of draining the topic."""
    await reader.send(ALLIANCE_SCORES.name, [b"bad"] * 60)
    with pytest.raises(TooManyDeadLetters):
        await asyncio.wait_for(reader.consumer().run(), 30)


async def test_a_recreated_topic_is_noticed(reader: Reader) -> None:
    """Other records at the offsets that were read, or none: it says what to do, and reads nothing until it is done.

    A replay forgets how far the lost log was read; then it goes on by itself, from the new log's beginning.
    """
    async with reader.running():
        await reader.say(reading(1, 36.0), reading(2, 29.0), snapshot())
        await reader.reaches(1, ALERTS)
    await _recreate(reader.settings)
    async with reader.running() as consumer:
        await _awaits_replay(consumer)
    await reader.say(*(snapshot(facts) for facts in range(4, 9)))
    async with reader.running() as consumer:
        await _awaits_replay(consumer)
        assert await reader.count(HELD) == 3
        async with looking(reader.settings) as looker, transaction(reader.operator) as connection:
            places = await recreated(connection, looker)
            assert {place.topic for place in places} == {reader.settings.topic(ALLIANCE_SCORES.name)}
            await forget(connection, places)
        await reader.reaches(8, HELD)
        assert consumer.metrics.awaits_replay._value.get() == 0


async def test_a_log_that_was_read_and_is_recreated_meanwhile_is_noticed(reader: Reader) -> None:
    """Also a consumer at work does not take the new log for the old one."""
    async with reader.running() as consumer:
        await reader.say(reading(1, 36.0), reading(2, 29.0), snapshot())
        await reader.reaches(1, ALERTS)
        await _recreate(reader.settings)
        await reader.say(snapshot(4))
        await _awaits_replay(consumer)
        assert await reader.count(HELD) == 3


@contextlib.asynccontextmanager
async def looking(settings: AlertsSettings) -> AsyncIterator[AIOKafkaConsumer]:
    looker = kafka.consumer(settings)
    await looker.start()
    yield looker
    await looker.stop()


async def _awaits_replay(consumer: Consumer) -> None:
    async def waits() -> bool:
        return bool(consumer.metrics.awaits_replay._value.get() == 1)

    await until(waits, "the consumer waits for a replay", within=30)


async def _recreate(settings: AlertsSettings) -> None:
    admin = AIOKafkaAdminClient(**kafka.connection(settings))
    await admin.start()
    await admin.delete_topics([settings.topic(ALLIANCE_SCORES.name)])
    await admin.close()

    async def again() -> bool:
        with contextlib.suppress(Exception):
            return bool(await kafka.create_topics(settings, TOPICS))
        return False

    await until(again, "the topic is there again", within=30)


def test_the_records_made_here_are_what_scoring_sends() -> None:
    """The contract takes them back."""
    for said in (reading(1, 36.0), snapshot()):
        assert codec.decode(ALLIANCE_SCORES, said.model_dump_json().encode()) == said
