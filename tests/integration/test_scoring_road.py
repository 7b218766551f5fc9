"""Facts in Kafka become readings in Kafka, by a worker of its own, as the pure fold says."""

from __future__ import annotations

import signal
import time

from schemas import codec
from tests.scoring_facts import caseload, latest, undisturbed
from tests.scoring_worker import eventually, road, scoring_settings, worker


async def test_readings_equal_the_pure_fold(kafka_bootstrap: str, topic_prefix: str) -> None:
    """What a worker publishes for a caseload, posted twice and shuffled, is what the pure fold says of it."""
    settings = scoring_settings(kafka_bootstrap, topic_prefix)
    facts = caseload(seed=1, clients=30, sessions=10)
    async with road(settings) as topics, worker(settings):
        await topics.post([*facts[::-1], *facts])
        await topics.until_answered(facts)
        assert latest(topics.values()) == undisturbed(facts)
        assert not topics.dead


async def test_what_follows_keeps_key_and_partition(kafka_bootstrap: str, topic_prefix: str) -> None:
    """A conclusion lies in the partition of its client's facts, under the same key."""
    settings = scoring_settings(kafka_bootstrap, topic_prefix)
    facts = caseload(seed=2, clients=12, sessions=2)
    async with road(settings) as topics, worker(settings):
        await topics.post(facts)
        await topics.until_answered(facts)
        cluster = topics.producer.client.cluster
        partitions = sorted(cluster.partitions_for_topic(settings.topic("session-events")))
        keys = {codec.encode_fact(fact).key for fact in facts}
        placed = {key: topics.producer._partitioner(key, partitions, partitions) for key in keys}
        assert {record.key: record.partition for record in topics.said} == placed


async def test_one_fact_is_answered_at_once(kafka_bootstrap: str, topic_prefix: str) -> None:
    """On a quiet topic the median fact is answered within 100 ms of being on the topic."""
    settings = scoring_settings(kafka_bootstrap, topic_prefix)
    facts = caseload(seed=3, clients=1, sessions=12)[:15]
    async with road(settings) as topics, worker(settings) as one:
        await eventually(one.ready, 20)
        taken = []
        for fact in facts:
            await topics.post([fact])
            posted = time.monotonic()
            await topics.until_answered([fact])
            taken.append(time.monotonic() - posted)
        assert sorted(taken)[len(taken) // 2] < 0.1


async def test_a_stopped_worker_ends_in_order_and_the_next_goes_on(kafka_bootstrap: str, topic_prefix: str) -> None:
    """SIGTERM ends a worker with 0 in time; the next one recovers the table and goes on, repeating nothing old."""
    settings = scoring_settings(kafka_bootstrap, topic_prefix)
    facts = caseload(seed=4, clients=20, sessions=8)
    half = len(facts) // 2
    async with road(settings) as topics:
        async with worker(settings) as first:
            await topics.post(facts[:half])
            await topics.until_answered(facts[:half])
            first.send(signal.SIGTERM)
            assert await first.ended(10) == 0
        said = len(topics.said)
        async with worker(settings) as second:
            await eventually(second.ready, 20)
            await topics.read()
            assert len(topics.said) == said, "the offsets were committed at the end"
            await topics.post(facts[half:])
            await topics.until_answered(facts)
            assert latest(topics.values()) == undisturbed(facts)


async def test_a_worker_says_how_it_is(kafka_bootstrap: str, topic_prefix: str) -> None:
    """Readiness and metrics are there from outside, with lag, chunks and readings."""
    settings = scoring_settings(kafka_bootstrap, topic_prefix)
    facts = caseload(seed=5, clients=5, sessions=3)
    async with road(settings) as topics, worker(settings) as one:
        await topics.post(facts)
        await topics.until_answered(facts)
        await eventually(one.ready, 20)
        metrics = await one.metrics()
        assert f"attune_scoring_events_total {len(facts)}.0" in metrics
        assert "attune_scoring_chunk_seconds_bucket" in metrics
        assert "attune_scoring_lag_records" in metrics
