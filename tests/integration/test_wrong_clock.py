"""A writer whose clock is ahead of the broker's."""

from __future__ import annotations

import time

from aiokafka import TopicPartition

from schemas.topics import SESSION_EVENTS
from services.platform import kafka
from services.platform.settings import Settings

HOURS_AHEAD_MS = 3 * 3_600_000


async def test_what_a_clock_ahead_writes_is_taken_at_the_brokers_time(kafka_bootstrap: str, topic_prefix: str) -> None:
    """Three hours ahead, a record is taken, and bears the broker's time: times in one log never go back."""
    settings = Settings(kafka_bootstrap=kafka_bootstrap, kafka_topic_prefix=topic_prefix, kafka_partitions=1)
    await kafka.create_topics(settings, (SESSION_EVENTS,))
    topic = settings.topic(SESSION_EVENTS.name)
    now = int(time.time() * 1000)
    async with kafka.producer(settings) as producer:
        await producer.send_and_wait(topic, b"{}", partition=0, timestamp_ms=now + HOURS_AHEAD_MS)
    consumer = kafka.consumer(settings)
    await consumer.start()
    consumer.assign([TopicPartition(topic, 0)])
    record = await consumer.getone()
    await consumer.stop()
    assert abs(record.timestamp - now) < HOURS_AHEAD_MS / 2
