"""The invented clinic: the same every time, in the shape of the published contract, and as hard as the real thing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest
from pydantic import TypeAdapter

from schemas.posted import PostedEvent
from services.lab.caseload import Caseload, Clinic, caseload

END = datetime(2026, 6, 1, 6, tzinfo=UTC)
SMALL = Clinic(clients=40, clinicians=8, weeks=30)


@pytest.fixture(scope="module")
def year() -> Caseload:
    return caseload(7, END)


def _srs_totals(played: Caseload) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    submitted = [post.event["rating"] for post in played.posts if post.event["type"] == "rating.submitted"]
    return np.array([sum(rating["items"].values()) for rating in submitted if rating["instrument"] == "srs@3"])


def test_same_seed_same_bytes() -> None:
    """A seed and an end give the same events, labels and order, bit for bit; another seed gives others."""
    first, again = caseload(3, END, SMALL), caseload(3, END, SMALL)
    assert json.dumps([post.event for post in first.posts]) == json.dumps([post.event for post in again.posts])
    assert first == again
    assert caseload(4, END, SMALL) != first


def test_every_event_keeps_the_contract(year: Caseload) -> None:
    """Whatever is posted validates as a posted event."""
    contract: TypeAdapter[object] = TypeAdapter(PostedEvent)
    for post in year.posts:
        contract.validate_json(json.dumps(post.event))


def test_the_feed_never_runs_backwards_or_ahead(year: Caseload) -> None:
    """Posts come in the order of the feed's clock, never before what they tell, and none after the end."""
    assert all(before.clock <= after.clock for before, after in pairwise(year.posts))
    assert all(datetime.fromisoformat(post.event["occurred_at"]) <= post.clock <= END for post in year.posts)


def test_ids_and_versions_are_unique(year: Caseload) -> None:
    """No record is posted twice in one version, and every correction follows what it corrects."""
    seen: set[tuple[str, int]] = set()
    for post in year.posts:
        key = (post.event["id"], post.event.get("version", 1))
        assert key not in seen
        assert key[1] == 1 or (key[0], 1) in seen
        seen.add(key)


def test_ratings_look_like_published_ones(year: Caseload) -> None:
    """SRS marginals stay near the published ones: mean 37.8, 22 % below 36, about 30 % perfect."""
    totals = _srs_totals(year)
    assert np.mean(totals) == pytest.approx(37.8, abs=0.5)
    assert np.mean(totals < 36) == pytest.approx(0.22, abs=0.05)
    assert np.mean(totals > 39.95) == pytest.approx(0.30, abs=0.06)


def test_attendance_looks_like_care(year: Caseload) -> None:
    """20 to 30 % leave early, no-shows are near one in ten, corrections are a few percent."""
    kinds = [post.event["type"] for post in year.posts]
    count = kinds.count
    assert 0.20 <= np.mean([label.dropped_out for label in year.labels]) <= 0.30
    assert 0.06 <= count("session.missed") / (count("session.missed") + count("session.attended")) <= 0.16
    assert 0.005 <= count("rating.amended") / count("rating.submitted") <= 0.03
    assert count("episode.transferred") >= 1
    assert count("rating.retracted") >= 1


def test_a_returning_client_keeps_the_reference(year: Caseload) -> None:
    """Some clients have two episodes, and the second begins after the first was over."""
    returned = [label.client for label in year.labels if label.episode.endswith("-2")]
    assert returned
    opened = {post.event["episode"]: post.clock for post in year.posts if post.event["type"] == "episode.opened"}
    assert all(opened[f"E-{ref[2:]}-1"] < opened[f"E-{ref[2:]}-2"] for ref in returned if f"E-{ref[2:]}-2" in opened)


def test_risk_answers_are_rare_but_there(year: Caseload) -> None:
    """PHQ-9 item 9 is answered above 0 now and then, so that the urgent path is walked."""
    answers = [
        post.event["rating"]["items"]["q9"]
        for post in year.posts
        if post.event["type"] == "rating.submitted" and post.event["rating"]["instrument"] == "phq-9@1"
    ]
    assert 0 < np.mean([answer > 0 for answer in answers]) < 0.05


def test_labels_tell_onset_and_repair() -> None:
    """A rupture starts at its onset, and a repair is the first session after it."""
    for label in caseload(5, END, SMALL).labels:
        for session, begins in enumerate(label.onset):
            assert not begins or label.active[session]
        for session, mended in enumerate(label.repaired):
            assert not mended or (label.active[session - 1] and not label.active[session])
