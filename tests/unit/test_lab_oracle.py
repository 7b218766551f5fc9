"""The oracle knows what it is told: it is sure of what leaps to the eye, and calm where nothing is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from schemas.instruments import Prior, Source
from services.lab.bounded import FITTED, NOW, RATE, RECENTLY, Tried, bounded
from services.lab.clinics import WITH_A_BOUND
from services.lab.generator import simulate
from services.lab.oracle import bound
from services.lab.rules import DEFAULT_RULE
from services.scoring.domain.config import DEFAULT


def test_it_is_calibrated() -> None:
    """Over many sessions, what it gives a chance of p happens about p of the time, concealed ruptures included."""
    courses = simulate(5, 400)
    seen = bound(1, courses, particles=400)
    chances = np.concatenate([each[1:] for each in seen.now])
    truth = np.concatenate([np.array(course.onset[1:]) for course in courses])
    assert abs(chances.mean() - truth.mean()) < 0.006
    sure = chances > 0.5
    assert truth[sure].mean() > 0.6
    assert truth[chances < 0.02].mean() < 0.02


def test_it_says_the_same_twice() -> None:
    """Seeded: the same seed, the same answer; nothing is said of a first session."""
    courses = simulate(6, 5)
    first, second = (bound(1, courses, particles=100) for _ in range(2))
    for one, other in zip(first.recently, second.recently, strict=True):
        assert np.isnan(one[0])
        assert np.array_equal(one, other, equal_nan=True)


def test_other_clinics_are_held_against_what_could_be_known_of_them() -> None:
    """The oracle knows each clinic, the engine only what it was fitted to; all look at the same clients."""
    prior = Prior(35.6, 3.8, 2.2, Source("as fitted", "simulated"))
    where = Tried(WITH_A_BOUND["low ratings"], replace(DEFAULT, priors=(("srs@3", prior),)))
    held = {each.rule: each for each in bounded(150, (71,), 1, where=where) if each.rate == RATE}
    assert {DEFAULT_RULE, FITTED, RECENTLY, NOW} <= held.keys()
    assert held[RECENTLY].of_recently.estimate == pytest.approx(1.0)
    assert held[FITTED].caught.estimate != held[DEFAULT_RULE].caught.estimate


def test_the_oracle_of_heavy_tails_is_less_sure_of_a_low_rating() -> None:
    """Where sessions swing widely by themselves, the lowest ratings say less of a rupture."""
    courses = simulate(7, 120)
    normal, heavy = (WITH_A_BOUND[name] for name in ("appendix A", "heavy tails"))
    told = [np.concatenate(bound(1, courses, clinic, particles=200).now) for clinic in (normal, heavy)]
    likely = np.nan_to_num(told[0]) > 0.3
    assert np.nan_to_num(told[1])[likely].mean() < np.nan_to_num(told[0])[likely].mean() - 0.05
