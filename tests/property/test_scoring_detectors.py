"""The laws every detector keeps."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.instruments import Instrument, Rater, catalogue
from services.scoring.domain import series
from services.scoring.domain.config import DEFAULT
from services.scoring.domain.course import Observation
from services.scoring.domain.facts import Fact, Rating
from services.scoring.domain.series import Reading
from services.scoring.domain.signals import DETECTORS

ALLIANCE = [instrument for instrument in catalogue() if instrument.family == "alliance"]
SHARES = st.integers(0, 40)
"""A total in fortieths of the span above its lowest."""


def total_of(instrument_key: str, share: int) -> float:
    (scale,) = (instrument.total for instrument in catalogue() if instrument.key == instrument_key)
    steps = round(share * scale.span / 40 / scale.step)
    return round(scale.low + steps * scale.step, 6)


def follow(instrument_key: str, totals: Sequence[float], rater: Rater = "client") -> list[Reading]:
    state, told = None, []
    for number, total in enumerate(totals):
        rating = Rating(instrument_key, rater, total=total)
        fact = Fact(f"f{number}", f"r{number}", 1, "rating.submitted", number, number, rating=rating)
        state, reading = series.step(DEFAULT, state, Observation(fact.place, fact, rating, None))
        told.append(reading)
    return told


@pytest.mark.parametrize("instrument", ALLIANCE, ids=lambda instrument: instrument.key)
@given(shares=st.lists(SHARES, min_size=1, max_size=12))
def test_every_detector_speaks_of_every_rating(instrument: Instrument, shares: list[int]) -> None:
    """One signal each, with a finite number or none and always a reason; the first rating is compared with nothing."""
    key = instrument.key
    told = follow(key, [total_of(key, share) for share in shares])
    for reading in told:
        assert len(reading.signals) == len(DETECTORS)
        assert all(signal.reason and "rupture" not in signal.reason for signal in reading.signals)
        assert all(signal.value is None or isfinite(signal.value) for signal in reading.signals)
    assert [signal.value for signal in told[0].signals[:4]] == [None, None, None, None]
    assert all(signal.value is not None for reading in told[1:] for signal in reading.signals)


@given(past=st.lists(SHARES, min_size=1, max_size=8), pair=st.tuples(SHARES, SHARES))
def test_a_lower_rating_is_never_less_worrying(past: list[int], pair: tuple[int, int]) -> None:
    """After the same past, a lower rating gives every detector at least as high a number, and a smaller tail."""
    totals = [total_of("srs@3", share) for share in past]
    low, high = (total_of("srs@3", share) for share in sorted(pair))
    worse, better = follow("srs@3", [*totals, low])[-1], follow("srs@3", [*totals, high])[-1]
    for lower, higher in zip(worse.signals, better.signals, strict=True):
        assert (lower.value or 0) >= (higher.value or 0)
    assert worse.tail_probability is not None
    assert better.tail_probability is not None
    assert worse.tail_probability <= better.tail_probability


@given(shares=st.lists(st.sampled_from(range(0, 41, 5)), min_size=2, max_size=12))
def test_a_scale_twice_as_long_gives_the_same_surprise(shares: list[int]) -> None:
    """Parameters go by span: the same course on the 5- and the 7-point WAI-SR is equally far off, in its own points."""
    five = follow("wai-sr@5pt", [total_of("wai-sr@5pt", share) for share in shares])
    seven = follow("wai-sr@7pt", [total_of("wai-sr@7pt", share) for share in shares])
    for short, long in zip(five[1:], seven[1:], strict=True):
        here, there = ({each.detector: each.value for each in told.signals} for told in (short, long))
        assert here["drift"] == pytest.approx(there["drift"], abs=1e-4)


@given(past=st.lists(SHARES, max_size=6), future=st.lists(SHARES, max_size=6))
def test_the_future_does_not_change_what_was_said(past: list[int], future: list[int]) -> None:
    """Readings of a beginning are the beginning of the readings."""
    totals = [total_of("sai@1", share) for share in [*past, *future]]
    assert follow("sai@1", totals)[: len(past)] == follow("sai@1", totals[: len(past)])
