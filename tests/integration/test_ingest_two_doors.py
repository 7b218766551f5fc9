"""Two doors on one database, the same thing posted to both at once: stored once, and both senders told the truth."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from services.ingest.settings import IngestSettings
from tests.clinic import Door, door, new_clinic, rating, write_secrets
from tests.scoring_worker import free_port
from tests.stack import Database

KEYS, TIMES = 60, 3
FULL = 5_000
Doors = tuple[Door, Door]


@pytest.fixture
async def doors(database: Database, tmp_path: Path) -> AsyncIterator[Doors]:
    """Two applications of one installation, each with connections, a queue and memories of its own."""
    settings = IngestSettings(
        environment="local",
        database_url=database.url("attune_ingest"),
        kafka_bootstrap=f"127.0.0.1:{free_port()}",
        secrets_dir=write_secrets(tmp_path / "secrets"),
        ingest_group=10,
    )
    _, key = await new_clinic(database)
    async with AsyncExitStack() as opened:
        first, second = [await opened.enter_async_context(door(settings, key)) for _ in range(2)]
        yield first, second


async def asked(database: Database, query: str) -> list[Any]:
    engine = create_async_engine(database.url("postgres"))
    async with engine.begin() as connection:
        answer = await connection.execute(text(query))
        found = list(answer) if answer.returns_rows else []
    await engine.dispose()
    return found


async def at_once(doors: Doors, events: list[dict[str, Any]]) -> list[list[httpx.Response]]:
    """Each event posted to both doors, several times, all at once; its answers."""
    posts = [each.post(event) for event in events for _ in range(TIMES) for each in doors]
    answers = await asyncio.gather(*posts)
    return [answers[start : start + 2 * TIMES] for start in range(0, len(answers), 2 * TIMES)]


async def test_the_same_posts_at_both_doors_are_stored_once(doors: Doors, database: Database) -> None:
    """Sixty events of twenty new clients, six times each: one 201, else 200 with the same receipt; nothing twice."""
    events = [rating(client=f"C-{number % 20}", number=1 + number // 20) for number in range(KEYS)]
    for answers in await at_once(doors, events):
        codes = Counter(answer.status_code for answer in answers)
        assert codes == {201: 1, 200: 2 * TIMES - 1}, answers[0].text
        assert len({answer.text for answer in answers}) == 1, "two receipts of one event"
    for table in ("inbox", "outbox"):
        assert len(await asked(database, f"select 1 from ingest.{table}")) == KEYS
    assert len(await asked(database, "select distinct client_id, episode_id from ingest.inbox")) == 20
    assert len(await asked(database, "select 1 from vault.entry where kind = 'client'")) == 20
    assert await asked(database, "select sum(facts) from ingest.episode") == [(KEYS,)]
    assert len(await asked(database, "select 1 from ingest.episode")) == 20


async def test_of_two_bodies_under_one_key_one_is_taken(doors: Doors, database: Database) -> None:
    """Another body at each door: whichever came first is the event (201, then 200), the other is 409 at either door."""
    first, second = doors
    for number in range(1, KEYS // 3):
        one, other = rating(number=number, total=30.0), rating(number=number, total=31.0)
        answers = await asyncio.gather(*(each.post(body) for body in (one, other) for each in (first, second)))
        codes = [answer.status_code for answer in answers]
        assert sorted(codes[:2]) + sorted(codes[2:]) in ([200, 201, 409, 409], [409, 409, 200, 201])
    assert len(await asked(database, "select 1 from ingest.outbox")) == KEYS // 3 - 1


async def test_batches_and_single_posts_of_the_same(doors: Doors, database: Database) -> None:
    """A batch at one door while the other gets the same events one by one, in the opposite order: each once."""
    first, second = doors
    events = [rating(client=f"C-{number}") for number in range(KEYS)]
    batch, *singles = await asyncio.gather(first.batch(events), *(second.post(each) for each in reversed(events)))
    codes = zip([each["status"] for each in batch], [each.status_code for each in reversed(singles)], strict=True)
    assert {tuple(sorted(each)) for each in codes} == {(200, 201)}
    assert len(await asked(database, "select 1 from ingest.outbox")) == KEYS


async def test_the_last_fact_that_an_episode_takes_is_known_at_the_other_door(doors: Doors, database: Database) -> None:
    """Room for one more: both doors take the same event and refuse another; neither refuses what is stored."""
    first, second = doors
    for number in range(1, 20):
        client = f"C-{number}"
        assert (await first.post(rating(client=client))).status_code == 201
        await asked(database, f"update ingest.episode set facts = {FULL - 1}")
        last = rating(client=client, number=2)
        answers = await asyncio.gather(first.post(last), second.post(last))
        assert sorted(each.status_code for each in answers) == [200, 201]
        assert (await second.post(rating(client=client, number=3))).status_code == 422
