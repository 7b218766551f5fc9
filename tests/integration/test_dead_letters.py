"""What cannot be processed is set aside once, with its reason, and somebody can do something about it."""

from __future__ import annotations

import asyncio
import io
import json
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from schemas import codec, events
from schemas.topics import EPISODES_CHANGELOG, SESSION_EVENTS
from services.cli.app import run
from services.cli.invocation import Invocation
from services.platform import kafka
from services.platform.settings import Settings
from tests.recovery_road import PARTITIONS, WITHIN, SmallRoad, small_road
from tests.stack import Database
from tests.whole_road import ratings, until

OPEN = "select count(*) from ingest.dead_letter where state = 'open'"
INCOMPLETE = "select bool_or((snapshot->>'incomplete')::boolean) from alerts.episode"
SCORED = "select count(*) from ingest.outcome where outcome = 'scored'"


@pytest.fixture
async def road(database: Database, kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> AsyncIterator[SmallRoad]:
    async with small_road(database, kafka_bootstrap, topic_prefix, tmp_path) as made:
        yield made


async def attune(road: SmallRoad, *arguments: str) -> str:
    """A command, as an operator types it."""
    out = io.StringIO()
    console = Console(file=out, width=240, soft_wrap=True)
    made = Invocation(road.environment, out=console, say=Console(file=io.StringIO()))
    assert await asyncio.to_thread(run, arguments, made) == 0, out.getvalue()
    return out.getvalue()


async def letters(road: SmallRoad, *options: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(await attune(road, "dead-letters", "list", "--json", *options))
    return found


async def send(road: SmallRoad, topic: str, key: bytes, value: bytes | None, *, partition: int | None = None) -> None:
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

    While one of its facts lies dead, the episode says `incomplete`; dropped, it is whole again.
    """
    async with road.relaying(), road.alerting(), road.scoring():
        await road.post(ratings(3, 4))
        await road.settled()
        known = codec.decode(SESSION_EVENTS, await road.ask("select value from ingest.inbox limit 1"))
        record = codec.encode_fact(impossible(known))
        newer = json.dumps(json.loads(record.value) | {"schema_version": 2}).encode()
        for value in (b"\x00 not an event", newer, record.value):
            await send(road, SESSION_EVENTS.name, record.key, value)
        await road.post([each | {"id": f"again-{each['id']}"} for each in ratings(3, 4)])
        await there_are(road, OPEN, 3)
        found = await letters(road)
        assert sorted(each["code"] for each in found) == ["undecodable", "unknown-version", "unprocessable"]
        assert all(each["tenant"] == "clinic" and each["attempt"] == 1 for each in found)
        await there_are(road, SCORED, road.posted)
        dead = next(each["dead_letter_id"] for each in found if each["code"] == "unprocessable")
        await _whole_again_after_dropping(road, dead, str(known.episode_id))


async def _whole_again_after_dropping(road: SmallRoad, dead: str, episode: str) -> None:
    incomplete = f"select (snapshot->>'incomplete')::boolean::int from alerts.episode where episode_id = '{episode}'"
    await there_are(road, incomplete, 1)
    assert "not an event" not in await attune(road, "dead-letters", "show", dead)
    assert "9999" in await attune(road, "dead-letters", "show", dead, "--value")
    assert "1 of them held a fact" in await attune(road, "dead-letters", "drop", dead, "--why", "no such year")
    await there_are(road, incomplete, 0)
    assert [each["why"] for each in await letters(road, "--state", "dropped")] == ["no such year"]


async def test_a_letter_sent_again_takes_effect_once(road: SmallRoad) -> None:
    """A state that nobody can read is mended: the facts set aside meanwhile are retried, and scored once."""
    first, second = ratings(1, 2)
    async with road.relaying(), road.alerting():
        async with road.scoring():
            await road.post([first])
            await road.settled()
        fact = codec.decode(SESSION_EVENTS, await road.ask("select value from ingest.inbox"))
        key = f"{fact.tenant_id}:{fact.client_id}:{fact.episode_id}".encode()
        partition = await road.ask("select max(partition) from ingest.tail_offset where next_offset > 0")
        await send(road, EPISODES_CHANGELOG.name, key, b"not a state", partition=partition)
        async with road.scoring():
            await road.post([second])
            await there_are(road, OPEN, 1)
            (dead,) = await letters(road)
            assert dead["code"] == "unreadable-state"
        await send(road, EPISODES_CHANGELOG.name, key, None, partition=partition)
        async with road.scoring():
            await attune(road, "replay", "--all")
            assert "1 on their way" in await attune(road, "dead-letters", "retry", "--all")
            await there_are(road, SCORED, 2)
            await there_are(road, "select count(*) from alerts.reading", 2)
            await there_are(road, OPEN, 0)
