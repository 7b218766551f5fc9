"""The shrunk chart of rank 3 is what the domain brief specifies. Published numbers: test_golden_charts.py."""

from __future__ import annotations

from math import isclose, sqrt

from services.scoring.domain import drift


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
