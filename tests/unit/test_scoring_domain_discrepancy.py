"""Two raters of one alliance: a change between them is told, the gap never; and ratings that say nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.instruments import Instrument, lookup
from services.scoring.domain import discrepancy, quality
from services.scoring.domain.discrepancy import Config, Norm, NotOneFamily, Observation, Reading
from services.scoring.domain.facts import Rating

FORMS = Config(client=Norm(50.0, 5.0), therapist=Norm(45.0, 4.0), within_sessions=3)
BOTH = st.lists(st.tuples(st.integers(30, 60), st.integers(30, 60)), min_size=1, max_size=10)


def known(key: str) -> Instrument:
    found = lookup(key)
    assert isinstance(found, Instrument)
    return found


def follow(pairs: list[tuple[float, float]]) -> list[Reading]:
    state, told = discrepancy.start(FORMS), []
    for session, (client, therapist) in enumerate(pairs, start=1):
        state, _ = discrepancy.step(FORMS, state, Observation(session, "client", client))
        state, reading = discrepancy.step(FORMS, state, Observation(session, "therapist", therapist))
        told.append(reading)
    return told


@given(BOTH, st.integers(-20, 20))
def test_the_raw_gap_never_matters(pairs: list[tuple[int, int]], higher: int) -> None:
    """A therapist who always rates so much higher or lower gives the same readings."""
    shifted = [(client, therapist + higher) for client, therapist in pairs]
    for plain, other in zip(follow([*pairs]), follow([*shifted]), strict=True):
        assert plain.fall == (None if other.fall is None else pytest.approx(other.fall, abs=1e-9))


@given(BOTH)
def test_the_change_is_that_of_the_last_three_sessions(pairs: list[tuple[int, int]]) -> None:
    """Batch: the highest difference of z among the three sessions before, less this one's."""
    gaps = [(client - 50) / 5 - (therapist - 45) / 4 for client, therapist in pairs]
    for place, reading in enumerate(follow([*pairs])):
        before = gaps[max(0, place - 3) : place]
        assert reading.fall == (pytest.approx(max(before) - gaps[place], abs=1e-9) if before else None)


def test_one_rater_alone_says_nothing() -> None:
    """A session that only the client rated has no number, and is not compared with another session's therapist."""
    state = discrepancy.start(FORMS)
    for session in range(1, 5):
        state, reading = discrepancy.step(FORMS, state, Observation(session, "client", 20.0))
        assert (reading.fall, reading.reason) == (None, "only one of the two has rated this session")
    state, reading = discrepancy.step(FORMS, state, Observation(6, "therapist", 45.0))
    assert reading.fall is None


def test_forms_of_two_measures_are_not_compared() -> None:
    """The answer says which forms would be."""
    told = discrepancy.compared(known("srs@3"), known("arm-5@1"))
    assert isinstance(told, NotOneFamily)
    assert "wai-sr and wai-srt" in told.expected
    assert isinstance(discrepancy.compared(known("arm-5@1"), known("arm-5@1")), Config)
    assert isinstance(discrepancy.compared(known("phq-9@1"), known("phq-9@1")), NotOneFamily)


def test_always_the_maximum_is_no_information() -> None:
    """Said as that from the third on; one other rating, and ratings inform again. Never "excellent"."""
    config = quality.Config(known("srs@3").total, silent_from=3)
    state, told = quality.start(config), []
    for score in (40.0, 40.0, 40.0, 40.0, 38.0, 40.0):
        state, reading = quality.step(config, state, score)
        told.append(reading.informative)
        assert "excellent" not in reading.reason
    assert told == [None, None, False, False, True, True]


def test_a_mirrored_rating_is_asked_about_and_not_learned_from() -> None:
    """One rating as far above the bottom as this client's usual lies below the top."""
    config = quality.Config(known("srs@3").total, silent_from=3)
    state = quality.start(config)
    for score in (37.0, 38.0, 2.5):
        before, (state, reading) = state, quality.step(config, state, score)
    assert reading.mirrored
    assert (state.trusted, state.total) == (before.trusted, before.total)
    assert quality.step(config, state, 2.5)[1].mirrored


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ((0, 10, 0, 10), ("all-items-at-extremes",)),
        ((10, 10, 10, 10), ()),
        ((0, 10, 5, 10), ()),
        ((0, None, None, 10), ("all-items-at-extremes",)),
    ],
)
def test_answers_at_both_ends_are_asked_about(answers: tuple[float | None, ...], expected: tuple[str, ...]) -> None:
    """Only where every answer given lies at an end, and both ends occur."""
    srs = known("srs@3")
    rating = Rating("srs@3", "client", {item.code: value for item, value in zip(srs.items, answers, strict=True)})
    assert quality.flags(srs, rating, 20.0, expected=None, first=False) == expected
