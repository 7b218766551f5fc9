"""The rolling score: a Bayesian filter that knows where the scale ends.

A client's level `theta ~ N(mu0, sb^2)`; one rating lies at `N(theta, sw^2)`, cut off at both ends of the scale (a Tobit
likelihood: a rating at the ceiling says only "at least that"). With `sw` fixed, four numbers are sufficient: how many
ratings lay inside the scale, their sum, how many at the ceiling, how many at the floor. The posterior is computed on a
grid that depends on the configuration alone. Scores here run upwards: `series` turns the others round.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import erfc, sqrt
from typing import Final, NamedTuple

import numpy as np

from services.scoring.domain.normal import TABLES_KEPT, Floats, log_above

STATE_VERSION: Final = 1
_INTERVAL: Final = (0.1, 0.9)
_COARSE: Final = 16


@dataclass(frozen=True, slots=True)
class Config:
    """The scale, the prior and the filter's own gate, all in points of the scale.

    A rating is not learned from when its tail probability is below `gate_alpha` and it lies at least `gate_min_drop`
    points below what was expected: what may be a rupture must not become the new usual. This gate is an engine
    parameter; when to tell somebody is policy's.
    """

    low: float
    high: float
    step: float
    mu0: float
    sb: float
    sw: float
    gate_alpha: float
    gate_min_drop: float
    probabilities: tuple[float, ...]
    grid_points: int


class State(NamedTuple):
    """What the ratings learned from amount to."""

    inside: int
    inside_sum: float
    at_ceiling: int
    at_floor: int
    version: int = STATE_VERSION

    @property
    def learned(self) -> int:
        return self.inside + self.at_ceiling + self.at_floor


class Expected(NamedTuple):
    """What this client's next rating was expected to be, before it was seen."""

    mean: float
    quantiles: tuple[float, ...]
    tail_probability: float
    drop: float
    """Points below the mean expected; negative when above."""


class Reading(NamedTuple):
    """The level after this rating with its 80 % interval, and what had been expected (`None` for the first)."""

    level: float
    low: float
    high: float
    expected: Expected | None
    learned_from: bool


@dataclass(frozen=True, slots=True)
class _Grid:
    theta: Floats
    within_scale: Floats
    log_parts: Floats
    """Rows: the prior, then what a point above `mu0`, a rating inside, one at the ceiling and one at the floor add."""
    values: tuple[float, ...]
    """What a rating can be: `low`, `low + step`, ... `high`."""
    at_or_below: Floats
    """Row `i`: how likely a rating is at or below `values[i]`, for each theta."""
    coarse: Floats
    """Every so many rows of `at_or_below`."""
    probabilities: Floats
    ends: Floats
    """The least and the greatest of the probabilities."""


def start(config: Config) -> State:  # noqa: ARG001 - every module of the domain starts alike
    return State(inside=0, inside_sum=0.0, at_ceiling=0, at_floor=0)


def step(config: Config, state: State, score: float) -> tuple[State, Reading]:
    """Take in one rating.

    >>> srs = Config(0, 40, 0.1, 39, 3.6, 2.4, 0.02, 3.0, (0.02, 0.5), 241)
    >>> state, first = step(srs, start(srs), 38.0)
    >>> first.expected is None, round(first.level, 2)
    (True, 38.31)
    >>> state, second = step(srs, state, 30.0)
    >>> round(second.expected.mean, 2), round(second.expected.drop, 2), second.learned_from
    (38.09, 8.09, False)
    """
    grid = _grid(config)
    learned = _learn(config, state, score)
    before, after = _weights(grid, config, (state, learned))
    expected = _expect(grid, config, before, score) if state.learned else None
    learn = expected is None or not _gated(config, expected)
    level, low, high = _level(grid, config, after if learn else before)
    return learned if learn else state, Reading(level, low, high, expected, learn)


def _gated(config: Config, expected: Expected) -> bool:
    return expected.tail_probability < config.gate_alpha and expected.drop >= config.gate_min_drop


def _learn(config: Config, state: State, score: float) -> State:
    half = config.step / 2
    if score >= config.high - half:
        return State(state.inside, state.inside_sum, state.at_ceiling + 1, state.at_floor)
    if score <= config.low + half:
        return State(state.inside, state.inside_sum, state.at_ceiling, state.at_floor + 1)
    return State(state.inside + 1, state.inside_sum + score, state.at_ceiling, state.at_floor)


def _expect(grid: _Grid, config: Config, weights: Floats, score: float) -> Expected:
    mean = float(weights @ grid.within_scale)
    return Expected(mean, _quantiles(grid, weights), _tail(config, grid, weights, score), mean - score)


def _quantiles(grid: _Grid, weights: Floats) -> tuple[float, ...]:
    """The first rating whose chance is reached, looked for coarsely first: the whole table does not fit a cache."""
    places = (grid.coarse @ weights).searchsorted(grid.ends)
    first = max(0, int(places[0]) - 1) * _COARSE
    chances = grid.at_or_below[first : int(places[1]) * _COARSE + 1] @ weights
    last = len(grid.values) - 1
    return tuple([grid.values[min(first + at, last)] for at in chances.searchsorted(grid.probabilities).tolist()])


def _tail(config: Config, grid: _Grid, weights: Floats, score: float) -> float:
    """How likely a rating this low or lower was. Prorated totals lie between steps and are computed for themselves."""
    steps = (score - config.low) / config.step
    row = round(steps)
    if abs(steps - row) > 1e-6:
        return float(weights @ _normal(score + config.step / 2, grid.theta, config.sw))
    return float(grid.at_or_below[row] @ weights)


def _level(grid: _Grid, config: Config, weights: Floats) -> tuple[float, float, float]:
    """Mean and 80 % interval of the level, within the scale: a client may sit above what the scale can show."""
    middle = weights.cumsum()
    middle -= 0.5 * weights
    low, high = np.interp(_INTERVAL, middle, grid.theta).tolist()
    mean = float(weights @ grid.theta)
    return _within(config, mean), _within(config, low), _within(config, high)


def _within(config: Config, value: float) -> float:
    return min(max(value, config.low), config.high)


def _weights(grid: _Grid, config: Config, states: tuple[State, ...]) -> Floats:
    """A posterior over the grid for each state: prior, Gaussian part, each end of the scale as often as seen."""
    rows = [
        (1.0, each.inside_sum - each.inside * config.mu0, -each.inside, each.at_ceiling, each.at_floor)
        for each in states
    ]
    logs: Floats = np.array(rows) @ grid.log_parts
    logs -= logs.max(axis=1, keepdims=True)
    np.exp(logs, out=logs)
    logs /= logs.sum(axis=1, keepdims=True)
    return logs


@lru_cache(maxsize=TABLES_KEPT)
def _grid(config: Config) -> _Grid:
    """Once per configuration: 0.8 MB for a scale of 401 values."""
    theta = np.linspace(config.low - 4 * config.sw, config.high + 4 * config.sb, config.grid_points)
    deviation = theta - config.mu0
    variance = config.sw**2
    half = config.step / 2
    count = round((config.high - config.low) / config.step) + 1
    values = tuple(round(config.low + place * config.step, 6) for place in range(count))
    rows = [_normal(value + half, theta, config.sw) for value in values[:-1]]
    at_or_below = np.vstack([*rows, np.ones_like(theta)])
    return _Grid(
        theta=theta,
        within_scale=np.clip(theta, config.low, config.high),
        log_parts=np.vstack(
            [
                -(deviation**2) / (2 * config.sb**2),
                deviation / variance,
                deviation**2 / (2 * variance),
                log_above((config.high - half - theta) / config.sw),
                log_above((theta - config.low - half) / config.sw),
            ]
        ),
        values=values,
        at_or_below=at_or_below,
        coarse=at_or_below[::_COARSE].copy(),
        probabilities=np.array(config.probabilities),
        ends=np.array((min(config.probabilities), max(config.probabilities))),
    )


def _normal(value: float, theta: Floats, sw: float) -> Floats:
    """P(rating <= value) for each theta, by the complementary error function."""
    return np.array([0.5 * erfc((mean - value) / (sw * sqrt(2))) for mean in theta.tolist()])
