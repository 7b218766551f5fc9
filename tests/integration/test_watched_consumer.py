"""A consumer whose fetching has ended does not stay silent."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from schemas.topics import SESSION_EVENTS
from services.platform import kafka
from services.platform.settings import Settings


async def test_a_consumer_that_fetches_no_more_says_so(kafka_bootstrap: str, topic_prefix: str) -> None:
    """The library's own task ended, as a reset under uvloop ends it: the next look raises what all followers wait out.

    It also fails when the library keeps that task elsewhere.
    """
    settings = Settings(kafka_bootstrap=kafka_bootstrap, kafka_topic_prefix=topic_prefix, kafka_partitions=1)
    await kafka.create_topics(settings, (SESSION_EVENTS,))
    consumer = kafka.consumer(settings)
    await consumer.start()
    consumer.assign([TopicPartition(settings.topic(SESSION_EVENTS.name), 0)])
    assert await consumer.getmany(timeout_ms=10) == {}
    fetching = consumer._fetcher._fetch_task
    fetching.cancel()
    await asyncio.wait([fetching])
    with pytest.raises(KafkaConnectionError):
        await consumer.getmany(timeout_ms=100)
    await consumer.stop()


async def test_stopped_as_soon_as_it_is_started_it_ends_quietly(kafka_bootstrap: str) -> None:
    """A look that fails at once must show its own fault: no cancellation that nobody asked for, nothing left open."""
    watched = kafka.consumer(Settings(environment="local", kafka_bootstrap=kafka_bootstrap))
    await watched.start()
    await watched.stop()
    assert not watched._client._conns
