"""Two references, one person, at the door: nothing lost, nothing twice, whichever reference and whichever door."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from services.ingest.settings import IngestSettings
from tests.clinic import Door, door, new_clinic, rating, write_secrets
from tests.scoring_worker import free_port
from tests.stack import Database

Doors = tuple[Door, Door]


@pytest.fixture
async def doors(database: Database, tmp_path: Path) -> AsyncIterator[Doors]:
    """Two doors of one installation, each with memories of its own."""
    settings = IngestSettings(
        environment="local",
        database_url=database.url("attune_ingest"),
        kafka_bootstrap=f"127.0.0.1:{free_port()}",
        secrets_dir=write_secrets(tmp_path / "secrets"),
    )
    _, key = await new_clinic(database)
    async with AsyncExitStack() as opened:
        first, second = [await opened.enter_async_context(door(settings, key)) for _ in range(2)]
        yield first, second


def merge(survivor: str = "C-1", loser: str = "C-2", **more: object) -> dict[str, Any]:
    at = datetime.now(UTC).isoformat()
    told = {"type": "client.merged", "id": f"M-{loser}", "client": survivor, "merged": loser, "occurred_at": at}
    return told | more


async def facts(database: Database) -> list[dict[str, Any]]:
    """Everything in the inbox, as published, in the order of care."""
    engine = create_async_engine(database.url("postgres"))
    async with engine.connect() as connection:
        rows = await connection.execute(
            text("select value from ingest.inbox order by occurred_at, received_at, event_id")
        )
        found = [json.loads(row.value) for row in rows]
    await engine.dispose()
    return found


def whose(rows: list[dict[str, Any]], kind: str = "rating.submitted") -> dict[str, list[dict[str, Any]]]:
    """Of one kind, by client."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["type"] == kind:
            found.setdefault(row["client_id"], []).append(row)
    return found


async def status(answer: Any) -> int:  # noqa: ANN401 - an awaitable response
    return int((await answer).status_code)


async def test_two_that_were_never_named_become_one_course(doors: Doors, database: Database) -> None:
    """The copies lie in the survivor's course with ids of their own; the loser's says where they are."""
    first, _ = doors
    for client, number in (("C-1", 1), ("C-1", 3), ("C-2", 2), ("C-2", 4)):
        assert await status(first.post(rating(client, number))) == 201
    before = await facts(database)
    told = merge()
    answer = await first.post(told)
    assert answer.status_code == 201, answer.text
    again = await first.post(told)
    assert (again.status_code, again.text) == (200, answer.text)
    after = await facts(database)
    assert [row for row in after if row in before] == before
    (away,) = whose(after, "client.merged-away").values()
    assert [row["fact_id"] for row in away] == [answer.json()["id"]]
    ratings = whose(after)
    loser, survivor = away[0]["client_id"], away[0]["survivor_id"]
    assert len(ratings[loser]) == 2
    assert {row["episode_id"] for row in ratings[survivor]} == {away[0]["survivor_episode_id"]}
    assert len({row["fact_id"] for row in ratings[survivor]} | {row["fact_id"] for row in ratings[loser]}) == 6
    assert [row["occurred_at"] for row in ratings[survivor]] == sorted({row["occurred_at"] for row in before})


async def test_posts_under_either_reference_reach_the_survivor_at_a_door_that_remembers_otherwise(
    doors: Doors, database: Database
) -> None:
    """The other door has the old client in its memory: new ratings, a correction and a late version all go across."""
    first, second = doors
    for each in (rating("C-1", 1), rating("C-2", 2), rating("C-2", 3)):
        assert await status(second.post(each)) == 201
    assert await status(first.post(merge())) == 201
    for each in (
        rating("C-2", 4),
        rating("C-2", 2, type="rating.amended", version=2),
        rating("C-1", 3, type="rating.amended", version=2, id="R-C-2-3", session="S-C-2-3"),
    ):
        assert await status(second.post(each)) == 201
    rows = await facts(database)
    (away,) = next(iter(whose(rows, "client.merged-away").values()))
    survivor = [row for row in rows if row["client_id"] == away["survivor_id"]]
    assert len([row for row in rows if row["client_id"] == away["client_id"]]) == 3
    records = {(row["record_id"], row["session_id"]) for row in survivor if row["type"].startswith("rating.")}
    assert len(survivor) == 6
    assert len(records) == 4, "a correction did not reach the copy of its record"


async def test_named_courses_stay_courses_of_their_own(doors: Doors, database: Database) -> None:
    """An episode that was posted for the loser is found again under the survivor's reference, and is not made anew."""
    first, second = doors
    for client, number, episode in (("C-1", 1, "E-1"), ("C-2", 2, "E-2")):
        assert await status(first.post(rating(client, number, episode=episode))) == 201
    assert await status(first.post(merge())) == 201
    for poster, client, number, episode in (
        (second, "C-1", 3, "E-2"),
        (first, "C-2", 4, "E-2"),
        (second, "C-2", 5, "E-1"),
    ):
        assert await status(poster.post(rating(client, number, episode=episode))) == 201
    rows = await facts(database)
    (away,) = next(iter(whose(rows, "client.merged-away").values()))
    courses: dict[str, int] = {}
    for row in whose(rows)[away["survivor_id"]]:
        courses[row["episode_id"]] = courses.get(row["episode_id"], 0) + 1
    assert sorted(courses.values()) == [2, 3]
    assert courses[away["survivor_episode_id"]] == 3


async def test_a_booking_of_the_loser_is_attended_by_the_survivor(doors: Doors, database: Database) -> None:
    """What comes of an appointment is posted under the reference that stays: it is the same appointment."""
    first, _ = doors
    at = {"occurred_at": "2026-01-05T10:00:00Z", "starts_at": "2026-01-12T10:00:00Z"}
    booked = {"type": "session.booked", "id": "A-9", "client": "C-2", "session": "S-9", **at}
    assert await status(first.post(rating("C-1", 1))) == 201
    assert await status(first.post(booked)) == 201
    assert await status(first.post(merge())) == 201
    came = {**booked, "type": "session.attended", "id": "A-9-came", "client": "C-1", "occurred_at": at["starts_at"]}
    assert await status(first.post(came)) == 201
    sessions = {row["session_id"] for row in await facts(database) if row["type"].startswith("session.")}
    assert len(sessions) == 1


async def test_what_does_not_fit_is_refused_by_name(doors: Doors) -> None:
    """Nobody known, the same reference, one person already, a circle, another survivor: each says where and why."""
    first, second = doors
    for client in ("C-1", "C-2", "C-3"):
        assert await status(first.post(rating(client))) == 201
    assert await status(first.post(merge("C-1", "C-2"))) == 201
    refused = [
        (merge("C-1", "C-9"), "/merged", "nobody of this reference is known"),
        (merge("C-9", "C-3"), "/client", "nobody of this reference is known"),
        (merge("C-1", "C-1"), "/merged", "the same reference"),
        (merge("C-1", "C-2", id="again"), "/merged", "already the same client"),
        (merge("C-2", "C-1"), "/merged", "already the same client"),
        (merge("C-3", "C-2", id="other"), "/merged", "merged into another client already"),
        (merge("C-1", "C-3", type="client.unmerged", version=2), "/id", "no merge of this id stands"),
    ]
    for told, pointer, detail in refused:
        answer = await second.post(told)
        assert answer.status_code == 422, answer.text
        (fault,) = answer.json()["errors"]
        assert (fault["pointer"], fault["detail"]) == (pointer, detail)
        assert fault["expected"]
    assert await status(first.post(merge("C-3", "C-2"))) == 409


async def test_a_chain_of_merges_leads_to_its_end(doors: Doors, database: Database) -> None:
    """C-3 into C-2, C-2 into C-1: whatever was and is posted of any is C-1's, corrections too, and once."""
    first, second = doors
    for client in ("C-1", "C-2", "C-3"):
        assert await status(second.post(rating(client, int(client[-1])))) == 201
    assert await status(first.post(merge("C-2", "C-3"))) == 201
    assert await status(second.post(rating("C-3", 4))) == 201
    assert await status(first.post(merge("C-1", "C-2"))) == 201
    later = [rating("C-3", 5), rating("C-3", 3, type="rating.amended", version=2), rating("C-2", 6)]
    assert [each["status"] for each in await second.batch(later)] == [201] * 3
    rows = await facts(database)
    last = next(each for each in whose(rows, "client.merged-away").values() if len(each) == 1)
    survivor = last[0]["survivor_id"] if len(whose(rows)[last[0]["survivor_id"]]) > 4 else None
    ends = [each["survivor_id"] for group in whose(rows, "client.merged-away").values() for each in group]
    end = survivor or next(each for each in ends if each not in whose(rows, "client.merged-away"))
    ratings = [row for row in rows if row["client_id"] == end and row["type"].startswith("rating.")]
    assert len(ratings) == 7
    assert len({row["record_id"] for row in ratings}) == 6


async def test_a_merge_that_was_wrong_is_taken_back(doors: Doors, database: Database) -> None:
    """Every copy is masked, the loser's posts are her own again at both doors; merged once more, all is copied anew."""
    first, second = doors
    for each in (rating("C-1", 1), rating("C-2", 2), rating("C-2", 3)):
        assert await status(first.post(each)) == 201
    assert await status(first.post(merge())) == 201
    assert await status(second.post(rating("C-2", 4))) == 201
    undone = merge(type="client.unmerged", version=2)
    assert await status(second.post(undone)) == 201
    assert await status(first.post(undone)) == 200
    rows = await facts(database)
    (away,) = next(iter(whose(rows, "client.merged-away").values()))
    copies = {row["fact_id"] for row in whose(rows)[away["survivor_id"]]}
    masked = {row["dropped_fact_id"] for row in rows if row["type"] == "fact.dropped"}
    assert len(masked) == 2
    assert masked < copies
    for poster, number in ((second, 5), (first, 6)):
        assert await status(poster.post(rating("C-2", number))) == 201
    assert len(whose(await facts(database))[away["client_id"]]) == 4
    assert await status(first.post(merge(version=3))) == 201
    assert await status(second.post(rating("C-2", 7))) == 201
    rows = await facts(database)
    alive = [row for row in whose(rows)[away["survivor_id"]] if row["fact_id"] not in masked]
    assert len(alive) == 1 + 1 + 4 + 1
    assert len({row["record_id"] for row in alive}) == len(alive)


async def test_posts_beside_a_merge_are_neither_lost_nor_doubled(doors: Doors, database: Database) -> None:
    """Twenty posts under the loser's reference at both doors while she is merged: each is the survivor's, once."""
    first, second = doors
    for client in ("C-1", "C-2"):
        assert await status(first.post(rating(client))) == 201
        assert await status(second.post(rating(client, 2))) == 201
    posts = [each.post(rating("C-2", 3 + number)) for number in range(20) for each in doors]
    answers = await asyncio.gather(*posts[:20], first.post(merge()), *posts[20:])
    assert {each.status_code for each in answers} == {200, 201}
    rows = await facts(database)
    (away,) = next(iter(whose(rows, "client.merged-away").values()))
    mine = [row["occurred_at"] for row in whose(rows)[away["survivor_id"]]]
    assert len(mine) == 2 + 2 + 20
    assert len({row["record_id"] for row in whose(rows)[away["survivor_id"]]}) == 24


CLONES = """
    insert into ingest.inbox (tenant_id, event_id, source, external_id, version, body_hash, record_id, client_id,
                              episode_id, type, occurred_at, received_at, value)
    select tenant_id, gen_random_uuid(), source, 'clone ' || n, version, body_hash, gen_random_uuid(), client_id,
           episode_id, type, occurred_at, received_at, value
    from ingest.inbox, generate_series(1, 5000) as n where external_id = 'R-C-2-1'
"""


async def test_more_than_one_transaction_holds_is_refused(doors: Doors, database: Database) -> None:
    """A client with 5,001 events is not half merged: the post is refused, and says how many may be."""
    first, _ = doors
    for client in ("C-1", "C-2"):
        assert await status(first.post(rating(client))) == 201
    engine = create_async_engine(database.url("postgres"))
    async with engine.begin() as connection:
        await connection.execute(text(CLONES))
    await engine.dispose()
    answer = await first.post(merge())
    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert (fault["pointer"], fault["expected"]) == ("/merged", "a client with at most 5,000 events")
    assert await status(first.post(rating("C-2", 2))) == 201
    assert len(whose(await facts(database), "client.merged-away")) == 0
