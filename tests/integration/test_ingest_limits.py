"""The door at its limits: too large, too slow, too many, and without what stands behind it."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.ingest.settings import IngestSettings
from tests.clinic import Door, door, new_clinic, rating, write_secrets
from tests.scoring_worker import free_port
from tests.stack import Database


@pytest.fixture
def settings(database: Database, tmp_path: Path) -> IngestSettings:
    """There is no Kafka at all behind this door."""
    return IngestSettings(
        environment="local",
        database_url=database.url("attune_ingest"),
        kafka_bootstrap=f"127.0.0.1:{free_port()}",
        secrets_dir=write_secrets(tmp_path / "secrets"),
        ingest_body_seconds=0.5,
    )


@pytest.fixture
async def clinic(settings: IngestSettings, database: Database) -> AsyncIterator[Door]:
    _, key = await new_clinic(database)
    async with door(settings, key) as opened:
        yield opened


async def send(clinic: Door, path: str, body: object, **headers: str) -> tuple[int, str]:
    own = {"Authorization": f"Bearer {clinic.key}", "Content-Type": "application/json"}
    answer = await clinic.client.post(path, content=body, headers=own | headers)  # type: ignore[arg-type]  # bytes or a stream
    return answer.status_code, answer.headers["content-type"]


async def test_ten_thousand_events_are_one_batch(clinic: Door) -> None:
    """10,000 events are stored within seconds, with no Kafka in sight; one more is 413 and stores nothing."""
    events = [rating(client=f"C-{n % 500}", number=n // 500 + 1) for n in range(10_000)]
    began = time.monotonic()
    results = await clinic.batch(events)
    took = time.monotonic() - began
    assert {each["status"] for each in results} == {201}
    assert took < 20, f"{took:.1f} s"  # generous: two cores, shared with a Kafka and a PostgreSQL
    body = json.dumps([*events, rating(client="last")]).encode()
    assert await send(clinic, "/v1/events:batch", body) == (413, "application/problem+json")


async def test_bodies_have_limits(clinic: Door) -> None:
    """Too large is 413, compressed or of another type 415, too slow 408: each a problem document."""
    problem = "application/problem+json"
    assert await send(clinic, "/v1/events", b" " * (256 * 1024 + 1)) == (413, problem)
    zipped = gzip.compress(json.dumps(rating()).encode())
    assert await send(clinic, "/v1/events", zipped, **{"Content-Encoding": "gzip"}) == (415, problem)
    assert await send(clinic, "/v1/events", b"a,b", **{"Content-Type": "text/csv"}) == (415, problem)

    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(2)
        yield b"}"

    assert await send(clinic, "/v1/events", slow()) == (408, problem)


async def test_posts_at_once_share_transactions(clinic: Door) -> None:
    """Two hundred posts at once need far fewer transactions than two hundred."""
    answers = await asyncio.gather(*(clinic.post(rating(client=f"C-{n}")) for n in range(200)))
    assert {answer.status_code for answer in answers} == {201}
    metrics = (await clinic.client.get("/metrics")).text
    transactions = float(metrics.split("attune_ingest_group_events_count ")[1].split()[0])
    assert transactions < 50


async def test_too_many_at_once_are_asked_to_come_back(settings: IngestSettings, database: Database) -> None:
    """A full queue is 429 with Retry-After; what got in is stored."""
    _, key = await new_clinic(database)
    small = settings.model_copy(update={"ingest_queue": 2, "ingest_group": 1})
    async with door(small, key) as narrow:
        await narrow.post(rating(client="first"))
        answers = await asyncio.gather(*(narrow.post(rating(client=f"C-{n}")) for n in range(60)))
    assert {answer.status_code for answer in answers} == {201, 429}
    assert all(answer.headers["retry-after"] for answer in answers if answer.status_code == 429)


async def test_nothing_submitted_is_told_to_operations(clinic: Door) -> None:
    """Whatever is wrong with it, no reference, value or unknown field's value is in a problem or a metric."""
    canary = f"canary-{os.getpid()}"
    for bad in (
        rating(client=canary, occurred_at=canary),
        rating(client=canary, extra=canary),
        rating(client=canary, version=canary),
        rating(client=canary) | {"type": canary},
        rating(client=canary, rating={"instrument": canary, "total": 7_431.5}),
        rating(client=canary, rating={"instrument": "srs@3", "items": {"overall": 7_431.5}}),
    ):
        answer = await clinic.post(bad)
        assert answer.status_code == 422
        assert canary not in answer.text
        assert "7431" not in answer.text
    assert (await clinic.post(rating(client=canary))).status_code == 201
    assert canary not in (await clinic.client.get("/metrics")).text
