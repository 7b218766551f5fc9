"""Published numbers that the control charts have to give; each test names its source."""

from __future__ import annotations

from collections.abc import Sequence
from math import erfc, pi, sqrt

import numpy as np
import pytest

from services.scoring.domain import cusum, ewma, individuals, runs
from services.scoring.domain.individuals import Limits
from services.scoring.domain.residuals import MEAN_RANGE_SDS

VISCOSITY = (
    *(34.05, 34.40, 33.59, 35.96, 34.70, 33.51, 33.79, 34.04, 34.52, 33.75),
    *(33.27, 33.71, 34.03, 34.58, 34.02, 33.97, 34.05, 34.04, 33.73, 34.05),
)
"""The 20 trial batches of qcc's data/viscosity.txt."""
FLOWRATE = (49.6, 47.6, 49.9, 51.3, 47.8, 51.2, 52.6, 52.4, 53.6, 52.1)
"""NIST/SEMATECH e-Handbook 6.3.2.2, individuals chart of a flow rate."""
NIST_EWMA = (52, 47, 53, 49.3, 50.1, 47, 51, 50.1, 51.2, 50.5, *FLOWRATE)
"""NIST/SEMATECH e-Handbook 6.3.2.4."""

THREE_SIGMA = individuals.Config(limit=3.0, min_ratings=3, floor=0.0, spread_by="mean")
BY_MEDIAN = individuals.Config(limit=3.0, min_ratings=3, floor=0.0, spread_by="median")


def charted(config: individuals.Config, values: Sequence[float]) -> Limits:
    state = individuals.start(config)
    for value in values:
        state, _ = individuals.step(config, state, value)
    made = individuals.limits(config, state)
    assert made is not None
    return made


def ruled(values: Sequence[float]) -> list[runs.Reading]:
    config = runs.Config(centre=0.0, sigma=1.0, side="both")
    state, readings = runs.start(config), []
    for value in values:
        state, reading = runs.step(config, state, value)
        readings.append(reading)
    return readings


def places(values: Sequence[float], *, western: int | None = None, nelson: int | None = None) -> list[int]:
    """Which ratings, counted from 1, complete a rule."""
    told = enumerate(ruled(values), start=1)
    return [place for place, reading in told if western in reading.western or nelson in reading.nelson]


def test_individuals_chart_of_the_viscosity_batches() -> None:
    """Data of qcc (data/viscosity.txt) and its test-qcc.R: exactly one violation, the fourth; numbers by formula."""
    chart = charted(THREE_SIGMA, VISCOSITY)
    assert (chart.centre, chart.mean_range) == pytest.approx((34.0880, 10.88 / 19), abs=1e-6)
    assert chart.sigma == pytest.approx(0.507652, abs=1e-6)
    assert (chart.lower, chart.upper) == pytest.approx((32.565044, 35.610956), abs=1e-6)
    assert [place for place, x in enumerate(VISCOSITY, 1) if not chart.lower <= x <= chart.upper] == [4]


def test_the_median_version_of_the_viscosity_batches() -> None:
    """The same batches: median moving range .44, over .954 by JMP's documentation of its individuals chart."""
    assert charted(BY_MEDIAN, VISCOSITY).sigma == pytest.approx(0.44 / 0.954, abs=1e-6)


def test_individuals_chart_of_the_nist_flow_rate() -> None:
    """NIST/SEMATECH e-Handbook 6.3.2.2: centre 50.81, mean moving range 1.8778, limits 45.8159 and 55.8041.

    The handbook's own centre line is printed 50.81; a moving-range limit of 6.1347 follows from 3.267.
    """
    chart = charted(THREE_SIGMA, FLOWRATE)
    assert (chart.centre, chart.mean_range) == pytest.approx((50.81, 16.9 / 9), abs=1e-6)
    assert (chart.lower, chart.upper) == pytest.approx(
        (50.81 - 3 * 16.9 / 9 / 1.128, 50.81 + 3 * 16.9 / 9 / 1.128), abs=1e-9
    )
    assert (chart.lower, chart.upper) == pytest.approx((45.8159, 55.8041), abs=1e-4)
    assert chart.upper_range == pytest.approx(6.134700, abs=1e-6)


def test_d2_is_what_charts_round_it_to() -> None:
    """The exact mean moving range of two is 2 / sqrt(pi) SDs; the published tables say 1.128."""
    assert round(2 / sqrt(pi), 3) == MEAN_RANGE_SDS


def test_small_sample_limits_give_the_rate_they_promise() -> None:
    """Domain brief 2(a): below the limit for 1 % lies the next rating of an unchanged client 1 % of the time."""
    draws = np.random.default_rng(5).standard_normal((60_000, 21))
    for size in (3, 4, 6, 8, 15):
        past, tested = draws[:, :size], draws[:, size]
        sigma = np.abs(np.diff(past)).mean(axis=1) / 1.128
        one, two = individuals.multiple("1 %", size), individuals.multiple("2 %", size)
        below = (past.mean(axis=1) - tested) / sigma
        assert ((below > one).mean(), (below > two).mean()) == pytest.approx((0.01, 0.02), abs=0.0015)


def test_ewma_of_the_nist_handbook() -> None:
    """NIST/SEMATECH e-Handbook 6.3.2.4: weight .3, centre 50, SD 2.0539; limits 47.4116 / 52.5884; no alarm."""
    published = (
        *(50.60, 49.52, 50.56, 50.18, 50.16, 49.21, 49.75, 49.85, 50.26, 50.33),
        *(50.11, 49.36, 49.52, 50.05, 49.38, 49.92, 50.73, 51.23, 51.94, 51.99),
    )
    config = ewma.Config(weight=0.3, centre=50.0, sigma=2.0539, reset_at_sds=3.0)
    state, told = ewma.start(config), []
    for value in NIST_EWMA:
        state, reading = ewma.step(config, state, value)
        told.append(reading)
    by_hand = [
        0.7**t * 50 + sum(0.3 * 0.7 ** (t - k) * x for k, x in enumerate(NIST_EWMA[:t], start=1)) for t in range(1, 21)
    ]
    assert [reading.ewma for reading in told] == pytest.approx(by_hand, abs=1e-9)
    assert [reading.ewma for reading in told] == pytest.approx(published, abs=0.0051)
    assert not any(abs(reading.below_sds) > 3 for reading in told)
    width = 3 * 2.0539 * ewma.limit_factor(0.3, 10_000)
    assert (50 - width, 50 + width) == pytest.approx((47.4116, 52.5884), abs=1e-4)
    assert width == pytest.approx(3 * 2.0539 * sqrt(0.3 / 1.7), abs=1e-6)


def test_ewma_of_qcc() -> None:
    """The test-ewma.R of qcc (tests/testthat): weight .5, centre 10, SD 2, with the exact early limits."""
    config = ewma.Config(weight=0.5, centre=10.0, sigma=2.0, reset_at_sds=2.0)
    state, told = ewma.start(config), []
    for value in (11, 13, 12):
        state, reading = ewma.step(config, state, value)
        told.append(reading)
    assert [reading.ewma for reading in told] == [10.5, 11.75, 11.875]
    assert [reading.sigma for reading in told] == pytest.approx([1, sqrt(1.25), sqrt(1.3125)], abs=1e-12)


def test_ewma_starts_again_past_its_limit() -> None:
    """Strictly past the limit only: a crossing is told once, then the average is the centre again."""
    config = ewma.Config(weight=0.5, centre=10.0, sigma=2.0, reset_at_sds=2.0)
    at_limit, _ = ewma.step(config, ewma.start(config), 6.0)
    past, reading = ewma.step(config, ewma.start(config), 5.9)
    assert at_limit.sessions == 1
    assert (past, reading.starts_again) == (ewma.start(config), True)


def test_cusum_of_qcc() -> None:
    """The test-cusum.R of qcc (tests/testthat): k .5, h 1; a sum of exactly h is no alarm; alarms at 3 and 6."""
    config = cusum.Config(centre=0.0, sigma=1.0, allowance_sds=0.5, decision_sds=1.0)
    state, told = cusum.start(config), []
    for value in (1.5, 0.5, 0.6, -1.5, -0.5, -0.8):
        state, reading = cusum.step(config, state, value)
        told.append(reading)
    assert [reading.high for reading in told] == pytest.approx([1.0, 1.0, 1.1, 0.0, 0.0, 0.0], abs=1e-12)
    assert [-reading.low for reading in told] == pytest.approx([0.0, 0.0, 0.0, -1.0, -1.0, -1.3], abs=1e-12)
    beyond = [place for place, each in enumerate(told, 1) if max(each.low, each.high) > config.decision_sds]
    assert beyond == [3, 6]
    assert [each.starts_again for each in told] == [False] * 5 + [True]
    assert state == cusum.State(0.0, 0.0)


def test_run_lengths_of_the_designs_are_those_published() -> None:
    """Lucas & Saccucci 1990 and the textbooks' CUSUM table, by Markov chain over the statistic, not by our code's loop.

    One-sided in-control run lengths of domain brief 2(e): CUSUM .5/4 335, .5/5 931; the two-sided are half of that.
    """
    assert _cusum_run_length(0.5, 4.0) == pytest.approx(335.0, rel=0.01)
    assert _cusum_run_length(0.5, 5.0) == pytest.approx(931.0, rel=0.01)


def _cusum_run_length(allowance: float, decision: float, states: int = 400) -> float:
    """Brook & Evans 1972: the sum as a Markov chain, whose moves are those that `cusum.step` makes."""
    width = 2 * decision / (2 * states - 1)
    config = cusum.Config(centre=0.0, sigma=1.0, allowance_sds=allowance, decision_sds=decision)
    grid = np.arange(states) * width
    upper = (grid[None, :] + width / 2) - grid[:, None] + allowance
    normal = np.vectorize(_normal)(upper)
    moves = np.diff(normal, axis=1, prepend=0.0)
    moved = cusum.step(config, cusum.State(float(grid[7]), 0.0), -0.5 - allowance)[1].low
    assert moved == pytest.approx(grid[7] + 0.5)
    run_lengths = np.linalg.solve(np.eye(states) - moves, np.ones(states))
    return float(run_lengths[0])


def _normal(value: float) -> float:
    return 0.5 * erfc(-value / sqrt(2))


def test_western_electric_rules_of_qcc() -> None:
    """The test-rules.R of qcc (tests/testthat), centre 0, SD 1: which point completes which rule."""
    assert places((0, 3.2, -3.5, 2.9), western=1) == [2, 3]
    assert places((0, 2.5, 1.0, 2.6, 0), western=2) == [4]
    assert places((0, 1.2, 1.3, 0.2, 1.4, 1.5), western=3) == [6]
    assert places((*[-1] * 8, 1), western=4) == [8]
    overlapping = (*[2.5] * 7, 3.2)
    assert places(overlapping, western=1) == [8]
    assert places(overlapping, western=2) == [3, 4, 5, 6, 7, 8]
    assert places(overlapping, western=3) == [5, 6, 7, 8]
    assert places(overlapping, western=4) == [8]


def test_nelson_rules_of_qcc() -> None:
    """The same file: Nelson's eight, among them a tie that ends a trend and a run that changes sides."""
    assert places((0, 3.2, -3.4, 3), nelson=1) == [2, 3]
    assert places((*[0.5] * 10, *[-0.5] * 10), nelson=2) == [9, 10, 19, 20]
    assert places((*range(1, 8), 7, *range(6, 0, -1)), nelson=3) == [6, 7, 13, 14]
    assert places((1, 3, 2, 4, 3, 5, 4, 6, 5, 7, 6, 8, 7, 9, 8), nelson=4) == [14, 15]
    assert places((0, 2.3, 0.4, 2.2, -2.4, -0.2, -2.5), nelson=5) == [4, 7]
    assert places((1.2, 1.3, 0.2, 1.4, 1.5, -1.2, -1.3, -0.1, -1.4, -1.5), nelson=6) == [5, 10]
    assert places((*[0.3] * 16, 1.2), nelson=7) == [15, 16]
    assert places((1.2, -1.3, 1.1, -1.4, 1.5, -1.2, 1.3, -1.1, 0.2), nelson=8) == [8]
    assert places([1.2] * 8, nelson=8) == []


def test_the_low_side_reads_low_and_falling_ratings_only() -> None:
    """A row of very good ratings completes no rule where only falls matter."""
    config = runs.Config(centre=0.0, sigma=1.0, side="low")
    state = runs.start(config)
    for value in [2.5] * 8 + [4.0]:
        state, reading = runs.step(config, state, value)
        assert (reading.western, reading.nelson) == ((), ())
