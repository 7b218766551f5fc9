"""What seldom happens at the door: its answer is defined, and nobody else's event suffers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from services.ingest.settings import IngestSettings
from services.platform import kafka
from services.platform.db import is_transient
from tests.clinic import Door, door, new_clinic, rating, write_secrets
from tests.stack import Database


@pytest.fixture
def settings(database: Database, kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> IngestSettings:
    return IngestSettings(
        environment="local",
        database_url=database.url("attune_ingest"),
        kafka_bootstrap=kafka_bootstrap,
        kafka_topic_prefix=topic_prefix,
        secrets_dir=write_secrets(tmp_path / "secrets"),
    )


@pytest.fixture
async def clinic(settings: IngestSettings, database: Database) -> AsyncIterator[Door]:
    _, key = await new_clinic(database)
    async with door(settings, key) as opened:
        yield opened


@pytest.fixture
async def superuser(database: Database) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(database.url("postgres"))
    yield engine
    await engine.dispose()


async def run(engine: AsyncEngine, *statements: str) -> list[Any]:
    async with engine.begin() as connection:
        for statement in statements[:-1]:
            await connection.execute(text(statement))
        result = await connection.execute(text(statements[-1]))
        return list(result) if result.returns_rows else []


@pytest.mark.parametrize(
    "told", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "2026-01-01", "20260101T000000Z", "x"]
)
async def test_a_clock_beyond_reason_is_refused(clinic: Door, told: str) -> None:
    """Attune-Clock is RFC 3339 and within the times care can have; anything else is 400."""
    answer = await clinic.post(rating(), Attune_Clock=told)
    assert answer.status_code == 400, answer.text


POISON = """
    create function refuse() returns trigger language plpgsql as
    $$ begin if new.external_id like 'R-poison-%' then raise 'no'; end if; return new; end $$
"""
ARM = "create trigger refuse before insert on ingest.inbox for each row execute function refuse()"


async def test_what_breaks_a_transaction_sinks_nobody_else(clinic: Door, superuser: AsyncEngine) -> None:
    """One event that the database will not take is 500 in its place; the rest of its batch and group are stored."""
    await run(superuser, POISON, ARM)
    events = [rating("poison" if number == 7 else "C-1", number) for number in range(1, 12)]
    results = await clinic.batch(events)
    assert [each["status"] for each in results] == [500 if number == 7 else 201 for number in range(1, 12)]
    again = await asyncio.gather(*(clinic.post(event) for event in events))
    assert [answer.status_code for answer in again] == [500 if number == 7 else 200 for number in range(1, 12)]


async def test_a_retraction_that_overtakes_its_rating_takes_the_risk_back(clinic: Door, superuser: AsyncEngine) -> None:
    """Retracted first, posted later: the risk answer's last word is still that there is none."""
    form = {f"q{number}": 0.0 for number in range(1, 10)}
    phq = rating() | {"rating": {"instrument": "phq-9@1", "items": form | {"q9": 2.0}}}
    retraction = {key: value for key, value in phq.items() if key != "rating"}
    retraction |= {"type": "rating.retracted", "version": 2}
    for event in (retraction, phq):
        answer = await clinic.post(event)
        assert answer.status_code == 201, answer.text
    query = "select convert_from(value, 'utf8') from ingest.outbox where topic = 'risk-items' order by number"
    risks = [json.loads(row[0]) for row in await run(superuser, query)]
    assert {(risk["version"], risk["value"]) for risk in risks} == {(1, 2.0), (2, None)}


async def test_two_at_once_do_not_reopen_a_closed_episode(clinic: Door, superuser: AsyncEngine) -> None:
    """Whatever is posted beside an episode's end, the episode is closed afterwards."""
    for number in range(20):
        client = f"C-{number}"
        opened = {"type": "episode.opened", "id": f"O-{number}", "client": client, "clinician": "T-1"}
        closed = {"type": "episode.closed", "id": f"X-{number}", "client": client}
        at = {"occurred_at": "2026-01-01T09:00:00Z", "episode": "E-1"}
        await clinic.post(opened | at)
        later = {"episode": "E-1", "occurred_at": "2026-02-01T09:00:00Z"}
        beside = [rating(client, each) | {"episode": "E-1"} for each in range(1, 4)]
        await asyncio.gather(clinic.batch(beside[:1]), clinic.post(closed | later), clinic.batch(beside[1:]))
    assert await run(superuser, "select count(*) from ingest.episode where closed_at is null") == [(0,)]


async def _stored(clinic: Door, event: object) -> int:
    return (await clinic.post(event)).status_code


async def test_who_holds_the_same_clients_never_waits_in_a_circle(clinic: Door, superuser: AsyncEngine) -> None:
    """The same clients in opposite order, and one by one, at once: each fact is stored and counted once."""
    events = [rating(f"C-{client}", number) for number in range(1, 6) for client in range(40)]
    posted = asyncio.gather(*(_stored(clinic, event) for event in events[::7]))
    batches = await asyncio.gather(clinic.batch(events), clinic.batch(events[::-1]))
    assert {each["status"] for results in batches for each in results} <= {200, 201}
    assert set(await posted) <= {200, 201}
    assert await run(superuser, "select count(*), sum(facts) from ingest.episode") == [(40, len(events))]


async def test_what_is_known_does_nothing_beside_what_is_new(clinic: Door, superuser: AsyncEngine) -> None:
    """Old and new in one batch, and an id twice: each is stored, sent and counted once, and the next post too."""
    old, new = [rating(number=each) for each in (1, 2)], [rating(number=each) for each in (3, 4, 5)]
    await clinic.batch(old)
    mixed = await clinic.batch([*old, *new[:2], new[0] | {"client": "C-other"}, new[1]])
    assert [each["status"] for each in mixed] == [200, 200, 201, 201, 409, 200]
    assert [each["status"] for each in await clinic.batch([*new, *new])] == [200, 200, 201, 200, 200, 200]
    assert (await clinic.post(rating(number=6))).status_code == 201
    assert await run(superuser, "select sum(facts) from ingest.episode") == [(6,)]
    assert await run(superuser, "select count(*), count(distinct event_id) from ingest.outbox") == [(6, 6)]
    assert await run(superuser, "select count(*) from ingest.inbox") == [(6,)]


async def test_more_lines_than_may_be_are_not_read(clinic: Door) -> None:
    """Ten thousand lines are a batch; of a million only as many are read as it takes to refuse them."""
    headers = clinic._headers({}) | {"Content-Type": "application/x-ndjson"}
    answer = await clinic.client.post("/v1/events:batch", content=b"1\n" * 1_000_000, headers=headers)
    assert answer.status_code == 413


@pytest.mark.parametrize("state", ["57P01", "57P03", "40P01", "40001", "53300", "08006"])
async def test_what_passes_by_itself_is_tried_again(superuser: AsyncEngine, state: str) -> None:
    """A server that starts, stops, is full or ended a deadlock is 503 and tried again, never an error of the post."""
    with pytest.raises(DBAPIError) as caught:
        await run(superuser, f"do $$ begin raise 'x' using errcode = '{state}'; end $$")
    assert is_transient(caught.value)


@pytest.mark.parametrize("state", ["23514", "22021", "42501"])
async def test_what_stays_is_not_tried_again(superuser: AsyncEngine, state: str) -> None:
    """A constraint, bad data or a missing right stays what it is."""
    with pytest.raises(DBAPIError) as caught:
        await run(superuser, f"do $$ begin raise 'x' using errcode = '{state}'; end $$")
    assert not is_transient(caught.value)


async def _outcome(clinic: Door, fact_id: str, wanted: str) -> None:
    """Wait until the receipt says so."""
    async with asyncio.timeout(30):
        while True:
            answer = await clinic.client.get(f"/v1/events/{fact_id}", headers=clinic._headers({}))
            if answer.json().get("outcome") == wanted:
                return
            await asyncio.sleep(0.1)


async def test_a_receipt_tells_what_became_of_the_event(
    clinic: Door, settings: IngestSettings, superuser: AsyncEngine
) -> None:
    """Also where the topics come to be after the door does: set aside is told, and a reading outranks it."""
    facts = [(await clinic.post(rating(number=number))).json()["id"] for number in (1, 2, 3)]
    ((tenant,),) = await run(superuser, "select tenant_id from access.tenant")
    await kafka.create_topics(settings)
    producer = kafka.producer(settings)
    await producer.start()

    async def concluded(kind: str, causes: list[str]) -> None:
        value = json.dumps({"type": kind, "tenant_id": str(tenant), "causes": causes}).encode()
        await producer.send_and_wait(settings.topic("alliance-scores"), value, key=b"k")

    try:
        headers = [("ce_id", facts[1].encode())]
        await producer.send_and_wait(settings.topic("dead-letters"), b"{", key=f"{tenant}:c".encode(), headers=headers)
        await _outcome(clinic, facts[1], "dead-lettered")
        await concluded("episode.snapshot", facts)
        await concluded("reading", facts[:2])
        for fact_id, outcome in zip(facts, ("scored", "scored", "no-reading"), strict=True):
            await _outcome(clinic, fact_id, outcome)
    finally:
        await producer.stop()
