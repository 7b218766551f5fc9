"""The rolling score at the ends of its scale, and against a brute-force posterior."""

from __future__ import annotations

from dataclasses import replace
from math import erfc, exp, sqrt

import pytest

from services.scoring.domain import rolling
from services.scoring.domain.config import DEFAULT, SeriesConfig, series_config


def config_of(key: str) -> SeriesConfig:
    config = series_config(DEFAULT, key)
    assert isinstance(config, SeriesConfig)
    return config


SRS = config_of("srs@3").rolling


def after(config: rolling.Config, *scores: float) -> tuple[rolling.State, rolling.Reading]:
    state = rolling.start(config)
    for score in scores:
        state, reading = rolling.step(config, state, score)
    return state, reading


def normal_cdf(z: float) -> float:
    return 0.5 * erfc(-z / sqrt(2))


def brute_force(config: rolling.Config, scores: list[float], points: int = 20_001) -> tuple[list[float], list[float]]:
    """Theta and its posterior by direct multiplication on a wide, fine grid."""
    low, high = config.low - 30, config.high + 30
    theta = [low + (high - low) * place / (points - 1) for place in range(points)]
    weights = [exp(-(((each - config.mu0) / config.sb) ** 2) / 2) for each in theta]
    for score in scores:
        weights = [weight * likelihood(config, score, each) for weight, each in zip(weights, theta, strict=True)]
    total = sum(weights)
    return theta, [weight / total for weight in weights]


def likelihood(config: rolling.Config, score: float, theta: float) -> float:
    if score >= config.high:
        return normal_cdf((theta - config.high + config.step / 2) / config.sw)
    if score <= config.low:
        return normal_cdf((config.low + config.step / 2 - theta) / config.sw)
    return exp(-(((score - theta) / config.sw) ** 2) / 2)


@pytest.mark.parametrize(
    ("key", "scores"),
    [
        ("srs@3", [38.0, 40.0, 36.5, 40.0]),
        ("srs@3", [22.0, 25.0, 31.0]),
        ("wai-sr@7pt", [70.0, 84.0, 77.0]),
        ("phq-9@1", [0.0, 0.0, 4.0, 9.0]),
        ("arm-5@1", [6.2, 7.0, 6.6]),
    ],
)
def test_four_numbers_are_the_posterior(key: str, scores: list[float]) -> None:
    """Level, expectation and tail probability are those of the whole posterior, to .01 of a within-client SD."""
    config = replace(config_of(key).rolling, gate_alpha=0.0)
    _, reading = after(config, *scores)
    theta, now = brute_force(config, scores)
    _, before = brute_force(config, scores[:-1])
    level = sum(weight * each for weight, each in zip(now, theta, strict=True))
    expected = sum(weight * min(max(each, config.low), config.high) for weight, each in zip(before, theta, strict=True))
    cut = scores[-1] + config.step / 2
    tail = sum(weight * normal_cdf((cut - each) / config.sw) for weight, each in zip(before, theta, strict=True))
    assert reading.expected is not None
    assert reading.level == pytest.approx(min(max(level, config.low), config.high), abs=0.01 * config.sw)
    assert reading.expected.mean == pytest.approx(expected, abs=0.01 * config.sw)
    if scores[-1] < config.high:
        assert reading.expected.tail_probability == pytest.approx(tail, abs=1e-3)


def test_a_quantile_is_the_counterfactual() -> None:
    """At the .02 quantile a rating is not below .02, one step lower it is: "would not have flagged at 33.4"."""
    for past in ([38.0], [40.0, 40.0], [31.0, 33.5, 29.0]):
        state, _ = after(SRS, *past)
        _, reading = rolling.step(SRS, state, 20.0)
        assert reading.expected is not None
        line = reading.expected.quantiles[SRS.probabilities.index(0.02)]
        at, below = (rolling.step(SRS, state, score)[1].expected for score in (line, round(line - 0.1, 6)))
        assert at is not None
        assert below is not None
        assert at.tail_probability >= 0.02 > below.tail_probability


def test_perfect_scores_do_not_make_the_next_an_outlier() -> None:
    """After ten 40s a 38 is 2 points down, not infinitely many SDs: too little for the gate, and learned from."""
    _, reading = after(SRS, *[40.0] * 10, 38.0)
    assert reading.expected is not None
    assert 0.001 < reading.expected.tail_probability < 0.02
    assert reading.expected.drop < 3
    assert reading.learned_from


def test_what_may_be_a_rupture_does_not_become_the_new_usual() -> None:
    """A rating beyond the gate leaves the level as it was; one within it moves it."""
    state, before = after(SRS, 38.0, 38.5, 37.5)
    gated_state, gated = rolling.step(SRS, state, 28.0)
    _, moved = rolling.step(SRS, state, 36.0)
    assert (gated_state, gated.level, gated.learned_from) == (state, before.level, False)
    assert moved.level < before.level


def test_the_first_rating_is_held_against_nothing() -> None:
    """Before the first rating nothing of this client is known: no expectation, no tail probability."""
    assert after(SRS, 20.0)[1].expected is None


def test_far_values_stay_finite() -> None:
    """Fifty ratings at one end and then the other: numbers, ordered, on the scale."""
    _, reading = after(SRS, *[0.0] * 50, *[40.0] * 50)
    assert 0 <= reading.low <= reading.level <= reading.high <= 40


def test_an_answer_between_steps_lies_between_its_neighbours() -> None:
    """Prorated totals are no whole steps: their tail probability is computed, not rounded to a neighbour's."""
    config = config_of("phq-9@1").rolling
    state, _ = after(config, 20.0, 19.0)
    low, between, high = (rolling.step(config, state, score)[1].expected for score in (12.0, 12.4, 13.0))
    assert low is not None
    assert between is not None
    assert high is not None
    assert low.tail_probability < between.tail_probability < high.tail_probability
