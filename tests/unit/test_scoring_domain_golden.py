"""Published numbers that the statistics have to give; each test names its source."""

from __future__ import annotations

from itertools import accumulate
from math import isclose, sqrt

import pytest

from services.scoring.domain import drift


def smoothed(weight: float, centre: float, values: list[float]) -> list[float]:
    return list(accumulate(values, lambda before, value: drift.smooth(weight, before, value), initial=centre))[1:]


def test_ewma_of_the_nist_handbook() -> None:
    """NIST/SEMATECH e-Handbook 6.3.2.4: weight .3, centre 50, SD 2.0539 give this list and limits 47.4116 / 52.5884."""
    values = [52, 47, 53, 49.3, 50.1, 47, 51, 50.1, 51.2, 50.5, 49.6, 47.6, 49.9, 51.3, 47.8, 51.2, 52.6, 52.4, 53.6]
    published = [
        *[50.60, 49.52, 50.56, 50.18, 50.16, 49.21, 49.75, 49.85, 50.26, 50.33, 50.11, 49.36, 49.52, 50.05, 49.38],
        *[49.92, 50.73, 51.23, 51.94, 51.99],
    ]
    assert smoothed(0.3, 50, [*values, 52.1]) == pytest.approx(published, abs=0.0051)
    width = 3 * 2.0539 * drift.limit_factor(0.3, 10_000)
    assert (50 - width, 50 + width) == pytest.approx((47.4116, 52.5884), abs=1e-4)


def test_ewma_of_qcc() -> None:
    """The test-ewma.R of qcc (tests/testthat): weight .5, centre 10, SD 2, 2-SD limits, with the exact early limits."""
    assert smoothed(0.5, 10, [11, 13, 12]) == [10.5, 11.75, 11.875]
    assert [2 * drift.limit_factor(0.5, n) for n in (1, 2, 3)] == pytest.approx(
        [1, sqrt(1.25), sqrt(1.3125)], abs=1e-12
    )


def test_the_chart_standardises_as_specified() -> None:
    """Domain brief 2(g), normal shrinkage, by hand: ratings 38, 36, then 30."""
    config = drift.Config(0.3, 2.5, 1.0, 37.0, 1.5, 2.2, 6.0)
    state, _ = drift.step(config, drift.start(config), 38.0)
    state, second = drift.step(config, state, 36.0)
    _, third = drift.step(config, state, 30.0)
    usual = (1.5 * 37 + 38 + 36) / 3.5
    spread = sqrt((6 * 2.2**2 + (2 / 1.128) ** 2) / 7)
    residual = (30 - usual) / spread / sqrt(1 + 1 / 3.5)
    assert second.ewma is not None
    assert third.usual is not None
    assert third.ewma is not None
    assert isclose(third.usual, usual)
    assert isclose(third.ewma, 0.3 * residual + 0.7 * second.ewma)


def test_the_chart_starts_again_after_its_limit() -> None:
    """Having crossed its limit, the statistic starts from nothing, and the baseline does not learn the crossing."""
    config = drift.Config(0.3, 2.5, 1.0, 37.0, 1.5, 2.2, 6.0)
    state = drift.start(config)
    for score in (39.0, 39.0, 39.0, 20.0):
        before, (state, reading) = state, drift.step(config, state, score)
    assert reading.below_sds is not None
    assert reading.below_sds > 2.5
    assert (state.ewma, state.sessions) == (0.0, 0)
    assert (state.ratings, state.total) == (before.ratings, before.total)
