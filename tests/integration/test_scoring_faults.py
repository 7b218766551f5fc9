"""Whatever dies, freezes or is poisoned: the latest readings are those of a run that nothing happened to."""

from __future__ import annotations

import json
import signal

from aiokafka.admin import AIOKafkaAdminClient

from schemas import codec, events
from schemas.topics import TOPICS
from services.platform import kafka
from services.scoring.settings import ScoringSettings
from tests.scoring_facts import caseload, latest, undisturbed
from tests.scoring_worker import Road, eventually, road, scoring_settings, worker


async def test_killed_in_the_middle_and_started_again(kafka_bootstrap: str, topic_prefix: str) -> None:
    """SIGKILL in the middle of several thousand events, twice: nothing lost, nothing wrong."""
    settings = scoring_settings(kafka_bootstrap, topic_prefix)
    facts = caseload(seed=11, clients=150, sessions=15)
    async with road(settings) as topics:
        await topics.post(facts)
        for share in (0.2, 0.6):
            async with worker(settings, ATTUNE_SCORING_INSTANCE="one") as one:
                await topics.until(lambda share=share: len(topics.answered) > share * len(facts), 20)  # type: ignore[misc]
                one.send(signal.SIGKILL)
                await one.ended(5)
        async with worker(settings, ATTUNE_SCORING_INSTANCE="one"):
            await topics.until_answered(facts)
        assert latest(topics.values()) == undisturbed(facts)


async def test_frozen_while_another_takes_over(kafka_bootstrap: str, topic_prefix: str) -> None:
    """A worker stopped past its session timeout and woken changes nothing: its partitions' new owner fenced it."""
    settings = scoring_settings(kafka_bootstrap, topic_prefix)
    facts = caseload(seed=12, clients=60, sessions=12)
    third = len(facts) // 3
    async with road(settings) as topics, worker(settings) as frozen:
        await topics.post(facts[:third])
        await topics.until(lambda: len(topics.answered) > third // 4, 20)
        frozen.send(signal.SIGSTOP)
        await topics.post(facts[third : 2 * third])
        async with worker(settings):
            await topics.until_answered(facts[: 2 * third])
            frozen.send(signal.SIGCONT)
            await topics.post(facts[2 * third :])
            await topics.until_answered(facts)
        assert latest(topics.values()) == undisturbed(facts)


async def test_poison_is_set_aside_and_the_partition_goes_on(kafka_bootstrap: str, topic_prefix: str) -> None:
    """Bytes that are no event, an event of a newer version: a dead letter each, with its reason; all else scored."""
    settings = scoring_settings(kafka_bootstrap, topic_prefix)
    facts = caseload(seed=13, clients=3, sessions=6)
    first = codec.encode_fact(facts[0])
    newer = json.dumps(json.loads(first.value) | {"schema_version": 2}).encode()
    async with road(settings) as topics, worker(settings):
        await topics.post_raw(first.key, b"\x00 not an event")
        await topics.post_raw(first.key, newer)
        await topics.post(facts)
        await topics.until_answered(facts)
        await topics.until(lambda: len(topics.dead) == 2, 10)
        about = [dict(record.headers) for record in topics.dead]
        assert [each["dl_code"] for each in about] == [b"undecodable", b"unknown-version"]
        assert [record.value for record in topics.dead] == [b"\x00 not an event", newer]
        assert all(record.key == first.key for record in topics.dead)
        assert latest(topics.values()) == undisturbed(facts)


async def test_too_many_dead_letters_stop_the_service(kafka_bootstrap: str, topic_prefix: str) -> None:
    """When most of what arrives is bad, the worker ends with a failure instead of draining the topic."""
    settings = scoring_settings(kafka_bootstrap, topic_prefix)
    async with road(settings) as topics, worker(settings) as one:
        for _ in range(300):
            await topics.post_raw(b"t:c", b"{}")
        await topics.producer.flush()
        assert await one.ended(30) != 0
        await topics.read()
        assert len(topics.dead) < 300


async def test_topics_made_anew_are_filled_again(kafka_bootstrap: str, topic_prefix: str) -> None:
    """After all topics were deleted and made anew, where offsets start at 0 again, the same facts give the same."""
    settings = scoring_settings(kafka_bootstrap, topic_prefix)
    facts = caseload(seed=14, clients=10, sessions=6)
    async with road(settings) as before:
        await _all_answered(before, settings, facts)
    await _delete_topics(settings)
    async with road(settings) as after:
        await _all_answered(after, settings, facts)
        assert latest(after.values()) == undisturbed(facts)


async def _all_answered(topics: Road, settings: ScoringSettings, facts: list[events.Fact]) -> None:
    async with worker(settings):
        await topics.post(facts)
        await topics.until_answered(facts)


async def _delete_topics(settings: ScoringSettings) -> None:
    names = [settings.topic(topic.name) for topic in TOPICS]
    admin = AIOKafkaAdminClient(**kafka.connection(settings))
    await admin.start()
    try:
        await admin.delete_topics(names)

        async def gone() -> bool:
            return not set(names) & set(await admin.list_topics())

        await eventually(gone, 10)
    finally:
        await admin.close()
