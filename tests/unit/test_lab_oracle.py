"""The oracle knows what it is told: it is sure of what leaps to the eye, and calm where nothing is."""

from __future__ import annotations

import numpy as np

from services.lab.generator import simulate
from services.lab.oracle import bound


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
