"""The road under bad luck: whatever dies or stands still, the readings and the alerts are those of a quiet day."""

from __future__ import annotations

import asyncio
import random
import re
import signal
import sys
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from services.lab.caseload import Clinic, caseload
from tests.odd_clinic import odd_clinic
from tests.whole_road import SESSION_TIMEOUT_SECONDS, Road, another_clinic, ratings, undisturbed, until, whole_road

CLIENTS, SESSIONS, EARLY = 300, 16, 3_000
HERE = Path(__file__).parents[2]
SURVEY = HERE.parent / "shared" / "data" / "srs-simulated" / "survey_srs_logs.csv"
MAPPING = HERE / "docs" / "integrate" / "srs-survey.mapping.toml"
pytestmark = pytest.mark.timeout(420)


@pytest.fixture(scope="module")
async def system() -> AsyncIterator[Road]:
    """One system for all of these: it is mistreated, and has to come out of it whole."""
    async with whole_road() as running:
        yield running


@pytest.fixture
async def road(system: Road) -> Road:
    """A clinic of the test's own."""
    return await another_clinic(system, f"clinic-{uuid.uuid4().hex[:8]}")


async def settled_as_if_nothing_had_happened(road: Road) -> None:
    """Nothing lost, nothing doubled, nothing wrong."""
    await road.settled()
    facts = await road.facts()
    assert {str(fact.fact_id) for fact in facts} == road.accepted, "a fact was lost, or came from nowhere"
    expected = await asyncio.to_thread(undisturbed, facts)
    assert await road.readings() == expected.readings
    assert await road.standing() == expected.standing
    query = "select count(*) from ingest.dead_letter where tenant_id = :tenant"
    assert await road.count(query) == 0, "a good event was set aside"
    assert expected.standing, "the caseload flags nothing: it proves nothing about alerts"


async def test_killed_and_frozen_in_the_middle(road: Road) -> None:
    """Scoring killed, then frozen past its session timeout, ingest, relay and alerts killed, in mid-stream."""
    posts = ratings(CLIENTS, SESSIONS)
    await road.post(posts[:EARLY])

    async def under_way(share: float) -> None:
        async def enough() -> bool:
            return await road.scored() >= share * len(posts)

        await until(enough, f"{share:.0%} are scored", within=120)
        assert await road.scored() < len(posts), "everything is scored already: nothing is in mid-stream"

    await under_way(0.1)
    await _kill(road, "scoring")
    await under_way(0.25)
    road.signal("scoring", signal.SIGSTOP)
    await asyncio.sleep(SESSION_TIMEOUT_SECONDS + 2)  # the fault itself: longer than the group waits
    road.signal("scoring", signal.SIGCONT)
    posting = asyncio.create_task(road.post(posts[EARLY:]))
    await until(road.beyond(EARLY), "the door is taking posts again", within=30)
    await _kill(road, "ingest")
    await under_way(0.5)
    await _kill(road, "alerts")
    await _kill(road, "relay")
    await posting
    await settled_as_if_nothing_had_happened(road)


async def test_a_clinics_whole_year(road: Road) -> None:
    """All that a clinic knows: several measures a client, transfers, corrections, cancellations, ends of care."""
    clinic = Clinic(clients=150, clinicians=10)
    await road.post([post.event for post in caseload(7, datetime.now(UTC), clinic).posts])
    await settled_as_if_nothing_had_happened(road)
    assert "off-track" in {kind for _, kind, _, _ in await road.standing()}, "no outcome is worth a word"


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_clinic_with_odd_records(road: Road, seed: int) -> None:
    """Every measure and kind of event, shuffled, with corrections before what they correct, in posts of any size."""
    left, sizes = odd_clinic(seed, clients=80), random.Random(seed)
    while left:
        size = sizes.choice([1, 7, 300])
        await road.post(left[:size])
        left = left[size:]
    await settled_as_if_nothing_had_happened(road)


async def test_a_third_partys_export_is_imported_as_it_stands(road: Road, tmp_path: Path) -> None:
    """277 rows with four answers and no dates, by the example mapping; a client of it has a page that draws."""
    if not SURVEY.exists():
        pytest.skip(f"no {SURVEY.name} beside this checkout")
    key_file = tmp_path / "key"
    key_file.write_text(road.key)
    command = (sys.executable, "-m", "services", "post", "--csv", str(SURVEY), "--mapping", str(MAPPING))
    where = ("--url", road.stack.address("ingest"), "--key-file", str(key_file))
    posting = await asyncio.create_subprocess_exec(*command, *where, stdout=asyncio.subprocess.PIPE)
    told, _ = await posting.communicate()
    assert (posting.returncode, b"277 accepted" in told) == (0, True), told
    road.accepted = {str(fact.fact_id) for fact in await road.facts()}
    assert len(road.accepted) == 277
    await settled_as_if_nothing_had_happened(road)
    page = await _page_of_a_client(road)
    assert "Session Rating Scale" in page
    assert "<canvas" in page or "data-panel" in page or "application/json" in page


async def _page_of_a_client(road: Road) -> str:
    """Signed in as the clinic's supervisor, the page of the first client of the caseload."""
    async with httpx.AsyncClient(base_url=road.stack.address("alerts"), follow_redirects=True) as client:
        login = (await client.get("/login")).text
        csrf = re.search(r'name="csrf" value="([^"]+)"', login)
        assert csrf
        await client.post("/login", data={"csrf": csrf[1], "tenant": str(road.tenant), "clinician": ""})
        caseload = (await client.get("/", params={"show": "all"})).text
        link = re.search(r'href="(/clients/[^"]+)"', caseload)
        assert link, "the caseload names no client"
        return (await client.get(link[1])).text


async def _kill(road: Road, name: str) -> None:
    before = road.pid(name)
    road.signal(name, signal.SIGKILL)
    await road.restarted(name, before)


async def test_posted_twice_shuffled_and_by_two_at_once(road: Road) -> None:
    """The same posts again, in another order, by two senders at once, change nothing."""
    posts = ratings(120, 12)
    await road.post(posts)
    await road.settled()
    readings, standing = await road.readings(), await road.standing()
    shuffled = random.Random(3).sample(posts, len(posts))
    await asyncio.gather(road.post(shuffled), road.post(posts[::-1]))
    await settled_as_if_nothing_had_happened(road)
    assert (await road.readings(), await road.standing()) == (readings, standing)


async def test_posts_are_taken_while_kafka_is_away(road: Road) -> None:
    """With Kafka frozen, then killed, posts get their 2xx, and everything is scored once it is back."""
    posts = ratings(150, 12)
    await road.post(posts[:600])
    await road.settled()
    road.signal("kafka", signal.SIGSTOP)
    await road.post(posts[600:1_200])
    await asyncio.sleep(SESSION_TIMEOUT_SECONDS + 4)  # the fault itself: every client of it has given up by now
    await _kill(road, "kafka")
    await road.post(posts[1_200:])
    await settled_as_if_nothing_had_happened(road)


async def test_a_flagging_post_is_an_alert_seconds_later(road: Road) -> None:
    """From the post's 2xx to an alert over the API, with its reason and what would not have been flagged."""
    posts = ratings(1, 6)
    await road.post(posts)
    alerts = await _alerts(road)
    assert "below this client's usual" in alerts[0]["reason"]
    assert alerts[0]["client"] == "C-0"
    async with httpx.AsyncClient(base_url=road.stack.address("alerts"), headers=road.headers) as client:
        detail = (await client.get(f"/v1/alerts/{alerts[0]['id']}")).json()
        assert detail["evidence"]["would_not_have_flagged"].startswith("at ")
        done = await client.post(f"/v1/alerts/{alerts[0]['id']}/resolve", json={"reason": "discussed"})
        assert (done.status_code, done.json()["state"]) == (200, "resolved")
        waiting = (await client.get("/v1/alerts")).json()["alerts"]
    assert [alert["id"] for alert in waiting if alert["id"] == alerts[0]["id"]] == []


async def _alerts(road: Road) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []

    async def flagged() -> bool:
        async with httpx.AsyncClient(base_url=road.stack.address("alerts"), headers=road.headers) as client:
            page = (await client.get("/v1/alerts", params={"kind": "rupture-possible"})).json()
        found[:] = page["alerts"]
        return bool(found)

    await until(flagged, "the alert is readable", within=10)
    return found
