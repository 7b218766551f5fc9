"""The laws that every detector keeps: a new one is held to them by being in `detectors.DETECTORS`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.instruments import Scale, Source
from services.scoring.domain import series
from services.scoring.domain.config import DEFAULT
from services.scoring.domain.detectors import DETECTORS, Detector
from services.scoring.domain.episode import read_episode
from services.scoring.domain.facts import DAY, Fact, Rating
from tests.property.batch_charts import BATCH

PAGES = Path(__file__).parents[2] / "docs" / "clinical"
_MADE_UP = Source("made up for these laws", "assumed")
SCALE = Scale(0, 40, 0.125, _MADE_UP)
OTHER_SCALE = Scale(16, 96, 0.25, _MADE_UP)
"""Twice as long and moved: exact in binary, so that no law depends on how a decimal is rounded."""

SCORE = st.sampled_from((0.0, 40.0)) | st.integers(0, 319).map(lambda steps: steps / 8 + 1 / 64)
"""Both ends, and values whose sums never lie exactly on a chart's decision: there the order of adding would decide."""
COURSE = st.lists(SCORE, min_size=1, max_size=12)
NEAR = st.lists(st.integers(0, 16).map(lambda steps: 36 + steps / 8), min_size=2, max_size=8)
"""Ratings so near each other that no filter leaves one out."""

LAW = settings(max_examples=15, deadline=None)
"""Few courses for each of many detectors; the time of one depends on who else uses the machine."""
Any3 = Detector[Any, Any, Any]
EVERY = pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.name)


def follow(detector: Any3, scores: Sequence[float], scale: Scale = SCALE) -> list[Any]:
    config, told = detector.configure(scale), []
    state = detector.start(config)
    for score in scores:
        state, reading = detector.step(config, state, score)
        told.append(reading)
    return told


def state_after(detector: Any3, scores: Sequence[float]) -> Any:  # noqa: ANN401 - each has a state of its own
    config = detector.configure(SCALE)
    state = detector.start(config)
    for score in scores:
        state, _ = detector.step(config, state, score)
    return state


def evidence(detector: Any3, scores: Sequence[float], scale: Scale = SCALE) -> list[float | None]:
    return [detector.evidence(reading) for reading in follow(detector, scores, scale)]


def about(expected: float | None, tolerance: float = 1e-8) -> object:
    return None if expected is None else pytest.approx(expected, rel=tolerance, abs=tolerance)


def test_every_detector_has_a_batch_computation_and_a_page() -> None:
    """Names are unique; nothing is in the tuple without an oracle here and a page in docs/clinical."""
    names = [detector.name for detector in DETECTORS]
    assert sorted(BATCH) == sorted(names)
    assert [each.page for each in DETECTORS if not (PAGES / f"{each.page}.md").is_file()] == []


@EVERY
@LAW
@given(scores=COURSE)
def test_online_is_batch_after_every_step(detector: Any3, scores: list[float]) -> None:
    """After each rating the number is what all ratings so far give when computed at once."""
    config = detector.configure(SCALE)
    at_once = [BATCH[detector.name](config, scores[:count]) for count in range(1, len(scores) + 1)]
    for online, batch in zip(evidence(detector, scores), at_once, strict=True):
        assert online == about(batch)


@EVERY
@LAW
@given(scores=COURSE)
def test_another_scale_gives_the_same_evidence(detector: Any3, scores: list[float]) -> None:
    """On a scale twice as long that begins elsewhere every number is the same, points being twice as many."""
    factor = 2 if detector.unit == "points" else 1
    moved = evidence(detector, [16 + 2 * score for score in scores], OTHER_SCALE)
    for here, there in zip(evidence(detector, scores), moved, strict=True):
        assert there == about(None if here is None else factor * here)


@EVERY
@LAW
@given(past=st.lists(SCORE, max_size=10), pair=st.tuples(SCORE, SCORE))
def test_a_lower_last_rating_never_lowers_the_evidence(
    detector: Any3, past: list[float], pair: tuple[float, float]
) -> None:
    """After the same past; a retrospective one judges earlier sessions by the last and is only ever silent of it."""
    if detector.retrospective:
        assert "session" in follow(detector, [*past, min(pair)])[-1].reason
        return
    lower, higher = (evidence(detector, [*past, last])[-1] for last in sorted(pair))
    assert (lower is None) == (higher is None)
    assert lower is None or higher is None or lower >= higher - 1e-9


@EVERY
@LAW
@given(data=st.data(), past=NEAR, last=SCORE)
def test_the_order_of_a_baseline_does_not_matter_where_it_should_not(
    detector: Any3, data: st.DataObject, past: list[float], last: float
) -> None:
    """What a detector says of the level so far is the same in whatever order the ratings came."""
    if detector.order_free is None:
        return
    shuffled = data.draw(st.permutations(past))
    here, there = (detector.order_free(follow(detector, [*order, last])[-1]) for order in (past, shuffled))
    assert there == about(here)


@EVERY
@LAW
@given(scores=COURSE, place=st.integers(0, 12))
def test_a_course_may_be_split_and_resumed(detector: Any3, scores: list[float], place: int) -> None:
    """A state that was written down and read back goes on to the same readings, bit for bit."""
    config = detector.configure(SCALE)
    state = state_after(detector, scores[:place])
    state = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=type(state))
    told = []
    for score in scores[place:]:
        state, reading = detector.step(config, state, score)
        told.append(reading)
    assert told == follow(detector, scores)[place:]


@EVERY
@LAW
@given(mine=COURSE, others=COURSE)
def test_other_clients_never_matter(detector: Any3, mine: list[float], others: list[float]) -> None:
    """Two clients' ratings taken in turn give each what they give alone, and a step taken twice is the same step."""
    config = detector.configure(SCALE)
    my_state, their_state, told = detector.start(config), detector.start(config), []
    for place, score in enumerate(mine):
        if place < len(others):
            their_state, _ = detector.step(config, their_state, others[place])
        again = detector.step(config, my_state, score)
        my_state, reading = detector.step(config, my_state, score)
        assert again == (my_state, reading)
        told.append(reading)
    assert told == follow(detector, mine)


@EVERY
def test_the_state_stays_small(detector: Any3) -> None:
    """However long the history, what is kept of it has a bound; the version is the last field."""
    sizes = [len(msgspec.msgpack.encode(state_after(detector, [36.0, 38.5, 31.0] * many))) for many in (100, 200)]
    assert sizes[1] <= sizes[0] + 8
    assert max(sizes) < 1000
    assert detector.start(detector.configure(SCALE))._fields[-1] == "version"


@EVERY
@LAW
@given(scores=COURSE)
def test_what_is_said_is_what_was_seen(detector: Any3, scores: list[float]) -> None:
    """Where a reading has words, there always are some, and they never name a rupture."""
    for reading in follow(detector, scores):
        reason = getattr(reading, "reason", "as seen")
        assert reason
        assert "rupture" not in reason


@LAW
@given(data=st.data(), scores=st.lists(SCORE, min_size=1, max_size=6))
def test_a_rating_delivered_twice_counts_once(data: st.DataObject, scores: list[float]) -> None:
    """Through the whole fold, with all that is wired into it: repeats and another order change no reading."""
    facts = [_fact(number, round(score, 1)) for number, score in enumerate(scores)]
    repeats = data.draw(st.lists(st.sampled_from(facts), max_size=6))
    shuffled = data.draw(st.permutations([*facts, *repeats]))
    once, often = read_episode(DEFAULT, facts), read_episode(DEFAULT, shuffled)
    assert once is not None
    assert often is not None
    assert sorted(once.readings, key=_session) == sorted(often.readings, key=_session)


def _fact(number: int, total: float) -> Fact:
    rating = Rating("srs@3", "client", total=total)
    return Fact(f"f{number}", f"r{number}", 1, "rating.submitted", number * DAY, number * DAY, rating=rating)


def _session(reading: series.Reading) -> int:
    return reading.session_number
