"""What cannot be processed is set aside once, with its reason, and somebody can do something about it."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Any

from aiokafka.partitioner import DefaultPartitioner

from schemas import codec, events
from schemas.topics import EPISODES_CHANGELOG, SESSION_EVENTS
from services.platform import kafka
from services.platform.settings import Settings
from tests.recovery_road import PARTITIONS, WITHIN, SmallRoad
from tests.whole_road import ratings, until

OPEN = "select count(*) from ingest.dead_letter where state = 'open'"
SCORED = "select count(*) from ingest.outcome where outcome = 'scored'"


async def letters(road: SmallRoad, *options: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(await road.attune("dead-letters", "list", "--json", *options))
    return found


async def send(
    road: SmallRoad, topic: str, key: bytes | None, value: bytes | None, *, partition: int | None = None
) -> None:
    """Put a record where our services read, as no service of ours would."""
    settings = Settings(kafka_bootstrap=road.bootstrap, kafka_topic_prefix=road.prefix, kafka_partitions=PARTITIONS)
    producer = kafka.producer(settings)
    await producer.start()
    headers = [("ce_id", json.loads(value)["fact_id"].encode())] if value and value.startswith(b"{") else []
    await producer.send_and_wait(settings.topic(topic), value, key=key, partition=partition, headers=headers)
    await producer.stop()


async def there_are(road: SmallRoad, query: str, count: int) -> None:
    async def holds() -> bool:
        return bool(await road.ask(query) == count)

    await until(holds, f"{count} by {query}", within=WITHIN)


def impossible(fact: events.Fact) -> events.Fact:
    """A valid event that no deadline can be computed for: a session at the end of time."""
    end = datetime(9999, 12, 31, tzinfo=UTC)
    whose = {name: getattr(fact, name) for name in ("tenant_id", "client_id", "episode_id")}
    ids = {"fact_id": uuid.uuid4(), "record_id": uuid.uuid4(), "session_id": uuid.uuid4()}
    return events.SessionAttended(**whose, **ids, occurred_at=end, recorded_at=end, starts_at=end)  # type: ignore[arg-type]


async def test_each_poison_is_one_letter_and_the_partition_goes_on(road: SmallRoad) -> None:
    """No event, an event of a newer version, one that makes the core raise: a letter each; all else is scored.

    While one of its facts lies dead, the episode says `incomplete`, and so do its readings; dropped, it is whole again.
    """
    async with road.relaying(), road.alerting(), road.scoring():
        await road.post(ratings(3, 4))
        await road.settled()
        known = codec.decode(SESSION_EVENTS, await road.ask("select value from ingest.inbox limit 1"))
        record = codec.encode_fact(impossible(known))
        newer = json.dumps(json.loads(codec.encode_fact(impossible(known)).value) | {"schema_version": 2}).encode()
        for key, value in ((record.key, b"\x00 not an event"), (record.key, newer), (record.key, record.value)):
            await send(road, SESSION_EVENTS.name, key, value)
        await send(road, SESSION_EVENTS.name, None, b"\x00 not even a key", partition=0)
        await road.post([each | {"id": f"again-{each['id']}"} for each in ratings(3, 4)])
        await there_are(road, OPEN, 4)
        found = await letters(road)
        codes = ["undecodable", "undecodable", "unknown-version", "unprocessable"]
        assert sorted(each["code"] for each in found) == codes
        assert sorted(str(each["tenant"]) for each in found) == ["None", "clinic", "clinic", "clinic"]
        await there_are(road, SCORED, road.posted)
        await there_are(road, "select count(*) from alerts.reading", road.posted)
        ids = {each["code"]: each["dead_letter_id"] for each in found}
        await _whole_again_after_dropping(road, ids, str(known.episode_id))


async def _whole_again_after_dropping(road: SmallRoad, ids: dict[str, str], episode: str) -> None:
    said = (
        f"select snapshot as said from alerts.episode where episode_id = '{episode}'"
        f" union all select reading from alerts.reading where episode_id = '{episode}'"
    )
    incomplete = f"select count(*) from ({said}) as said where said->'incomplete' = 'true'"
    whole = await road.ask(f"select 1 + count(*) from alerts.reading where episode_id = '{episode}'")
    await there_are(road, incomplete, whole)
    dead = ids["unprocessable"]
    assert "not an event" not in await road.attune("dead-letters", "show", ids["undecodable"])
    assert "9999" in await road.attune("dead-letters", "show", dead, "--value")
    assert "1 on their way" in await road.attune("dead-letters", "retry", dead)
    await there_are(road, f"{OPEN} and attempt = 2 and code = 'unprocessable'", 1)
    (again,) = await letters(road, "--code", "unprocessable")
    for letter in (again["dead_letter_id"], ids["unknown-version"]):
        await there_are(road, incomplete, whole)
        assert "1 of them held a fact" in await road.attune("dead-letters", "drop", letter, "--why", "no such year")
    await there_are(road, incomplete, 0)
    assert [each["why"] for each in await letters(road, "--state", "dropped")] == ["no such year"] * 2
    assert "0 of them held a fact" in await road.attune("dead-letters", "drop", ids["undecodable"])


async def test_a_letter_sent_again_takes_effect_once(road: SmallRoad) -> None:
    """A state that nobody can read is mended: the facts set aside meanwhile are retried, and scored once."""
    async with road.relaying(), road.alerting():
        await road.post(ratings(1, 2))
        fact = codec.decode(SESSION_EVENTS, await road.ask("select value from ingest.inbox limit 1"))
        client, places = codec.encode_fact(fact).key, list(range(PARTITIONS))
        key, partition = client + f":{fact.episode_id}".encode(), DefaultPartitioner()(client, places, places)
        await send(road, EPISODES_CHANGELOG.name, key, b"not a state", partition=partition)
        async with road.scoring():
            await there_are(road, OPEN, 2)
            assert {each["code"] for each in await letters(road)} == {"unreadable-state"}
        await send(road, EPISODES_CHANGELOG.name, key, None, partition=partition)
        async with road.scoring():
            assert "2 on their way" in await road.attune("dead-letters", "retry", "--all")
            await there_are(road, SCORED, 2)
            for each in await letters(road, "--state", "retried"):
                refused = await road.attune("dead-letters", "drop", each["dead_letter_id"], code=2)
                assert "was scored meanwhile" in refused
            await send(road, SESSION_EVENTS.name, client, codec.encode_fact(fact).value)
            await road.post([each | {"id": f"again-{each['id']}"} for each in ratings(1, 1)])
            await there_are(road, SCORED, 3)
            await there_are(road, "select facts from alerts.episode", 3)
            await there_are(road, "select count(*) from alerts.reading", 3)
            await there_are(road, OPEN, 0)
