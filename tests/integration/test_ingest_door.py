"""The door over a real PostgreSQL: accepted once, refused with reasons, seen by its own clinic only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from services.ingest.settings import IngestSettings
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


async def rows(database: Database, query: str) -> list[Any]:
    engine = create_async_engine(database.url("postgres"))
    async with engine.connect() as connection:
        found = list(await connection.execute(text(query)))
    await engine.dispose()
    return found


async def test_the_same_post_again_gives_the_same_receipt(clinic: Door, database: Database) -> None:
    """Posted twice, an event is stored once: 201, then 200 with the same receipt."""
    first, again = await clinic.post(rating()), await clinic.post(rating())
    assert (first.status_code, again.status_code) == (201, 200), first.text + again.text
    assert first.json() == again.json()
    assert first.headers["location"] == again.headers["location"] == f"/v1/events/{first.json()['id']}"
    assert len(await rows(database, "select 1 from ingest.inbox")) == 1
    assert len(await rows(database, "select 1 from ingest.outbox")) == 1


async def test_another_body_under_the_same_key_is_a_conflict(clinic: Door, database: Database) -> None:
    """The same id and version with another body is 409, and nothing changes."""
    await clinic.post(rating(total=30.0))
    answer = await clinic.post(rating(total=31.0))
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(await rows(database, "select 1 from ingest.inbox")) == 1


async def test_two_first_sights_of_a_client_make_one_surrogate(clinic: Door, database: Database) -> None:
    """Fifty first posts of one client at once end in one client and one episode."""
    answers = await asyncio.gather(*(clinic.post(rating(number=number)) for number in range(1, 51)))
    assert {answer.status_code for answer in answers} == {201}
    assert len(await rows(database, "select distinct client_id, episode_id from ingest.inbox")) == 1
    assert len(await rows(database, "select 1 from vault.entry where kind = 'client'")) == 1


async def test_one_bad_event_never_sinks_the_others(clinic: Door) -> None:
    """A batch's results are positional: the good are stored, each bad one has its problem."""
    bad_item = rating(number=2)
    bad_item["rating"] = {"instrument": "srs@3", "items": {"relationship": 11}}
    results = await clinic.batch([rating(number=1), bad_item, {"type": "x"}, rating(number=3), rating(number=1)])
    assert [each["status"] for each in results] == [201, 422, 422, 201, 200]
    assert [each["index"] for each in results] == [0, 1, 2, 3, 4]
    (fault,) = results[1]["problem"]["errors"]
    assert fault["pointer"] == "/rating/items/relationship"
    assert "0 to 10" in fault["expected"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b"\xef\xbb\xbf{}", 400),
        (b'{"a": NaN}', 400),
        (b'{"a": 1, "a": 2}', 400),
        (b"[" * 100_000, 400),
        (b"1" * 5_000, 400),
        (b"[]", 422),
        (b"null", 422),
        (b'{"type": "rating.submitted"}', 422),
        (b'{"type": "\\ud800"}', 422),
    ],
)
async def test_bad_json_has_a_defined_answer(clinic: Door, body: bytes, status: int) -> None:
    """What is not JSON as we read it is 400, what is no event is 422; never a 500."""
    answer = await clinic.client.post(
        "/v1/events", content=body, headers=clinic._headers({}) | {"Content-Type": "application/json"}
    )
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"occurred_at": "2026-01-01T10:00:00"}, "/occurred_at"),
        ({"occurred_at": 0}, "/occurred_at"),
        ({"occurred_at": "2999-01-01T10:00:00Z"}, "/occurred_at"),
        ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "/occurred_at"),
        ({"client": "a\x00b"}, "/client"),
        ({"client": ""}, "/client"),
        ({"client": "x" * 201}, "/client"),
        ({"version": 2**53 + 1}, "/version"),
        ({"version": "1"}, "/version"),
        ({"misspelt": 1}, "/misspelt"),
        ({"rating": {"instrument": "srs@3", "items": {"relationship": 1e300}}}, "/rating/items/relationship"),
        ({"rating": {"instrument": "nope@1", "total": 3.0}}, "/rating/instrument"),
        ({"rating": {"instrument": "srs@3", "items": {"nope": 3.0}}}, "/rating/items/nope"),
    ],
)
async def test_each_fault_names_its_place(clinic: Door, change: dict[str, Any], pointer: str) -> None:
    """A fault says where and what was expected, and never what was sent."""
    import json  # noqa: PLC0415 - only here: what httpx would refuse to send

    body = json.dumps({**rating(), **change})
    answer = await clinic.client.post(
        "/v1/events", content=body, headers=clinic._headers({}) | {"Content-Type": "application/json"}
    )
    assert answer.status_code == 422, answer.text
    (fault,) = answer.json()["errors"]
    assert fault["pointer"] == pointer
    assert fault["expected"]


async def test_only_its_own_clinic_sees_a_receipt(clinic: Door, database: Database) -> None:
    """Another clinic's receipt is not found; the tenant comes from the key alone."""
    location = (await clinic.post(rating())).headers["location"]
    _, other = await new_clinic(database, "other")
    own = await clinic.client.get(location, headers=clinic._headers({}))
    assert own.status_code == 200
    assert own.json()["outcome"] is None
    stranger = await clinic.client.get(location, headers={"Authorization": f"Bearer {other}"})
    assert stranger.status_code == 404


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic x"}])
async def test_without_a_valid_key_nobody_comes_in(clinic: Door, header: dict[str, str]) -> None:
    """No key or no valid one is 401 and says how to authenticate."""
    answer = await clinic.client.post("/v1/events", json=rating(), headers=header)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_only_some_keys_may_bring_their_own_clock(clinic: Door, database: Database) -> None:
    """Attune-Clock needs the scope; with it, the fact is stamped by that clock."""
    _, plain = await new_clinic(database, "plain", scopes=("events:write",))
    refused = await Door(clinic.client, plain).post(rating(), Attune_Clock="2026-01-02T00:00:00+00:00")
    assert refused.status_code == 403
    taken = await clinic.post(rating(), Attune_Clock="2026-01-02T00:00:00+00:00")
    assert taken.status_code == 201, taken.text
    assert taken.json()["received"] == "2026-01-02T00:00:00Z"


async def test_cloud_events_are_the_same_events(clinic: Door) -> None:
    """Structured and binary CloudEvents are recognised as the plain event posted before."""
    event = rating()
    plain = await clinic.post(event)
    data = {key: value for key, value in event.items() if key not in {"id", "type", "occurred_at", "client"}}
    attributes = {"id": event["id"], "time": event["occurred_at"], "subject": event["client"], "source": "ehr"}
    attributes |= {"specversion": "1.0", "type": "attune.rating.submitted.v1"}
    structured = await clinic.post(attributes | {"data": data})
    binary = await clinic.client.post(
        "/v1/events", json=data, headers=clinic._headers({f"ce_{name}": value for name, value in attributes.items()})
    )
    assert (plain.status_code, structured.status_code, binary.status_code) == (201, 200, 200), binary.text
    assert plain.json() == structured.json() == binary.json()


async def test_nothing_of_a_reference_is_stored_in_the_clear(clinic: Door, database: Database) -> None:
    """The vault holds ciphertext; neither it nor what is published contains the clinic's own reference."""
    await clinic.post(rating(client="Canary-Client-77"))
    stored = await rows(database, "select row_to_json(e)::text from vault.entry e")
    published = await rows(database, "select encode(value, 'escape') || encode(key, 'escape') from ingest.outbox")
    assert stored
    assert published
    assert not any("Canary" in row[0] for row in stored + published)
