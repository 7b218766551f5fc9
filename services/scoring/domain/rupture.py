"""Rank 1: how much likelier this rating is if the alliance has just changed than if it has not.

Two explanations of a client's ratings are weighed against each other on a grid of levels and spreads:

- *ordinary*: a level `theta ~ N(mu0, sb^2)`, ratings at `N(theta, s^2)` with `s = sw exp(sw_spread z)`, because some
  clients vary more than others, cut off at both ends of the scale (Tobit);
- *changed*: at this rating the level fell by a log-normal number of points; or, with a small share, it has been sliding
  for some sessions by so many points each.

The number is the logarithm of their likelihood ratio (a Bayes factor, in nats). A likelihood ratio spends false alarms
where they buy most (Neyman & Pearson 1933); a tail probability spends them evenly, also where nothing can be seen. What
an ordinary rating reaches by chance is told by the `rates` of the configuration, found by simulation: the share of
ordinary sessions with at least this much evidence. Scores here run upwards: `series` turns the others round.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from math import log
from typing import Final, NamedTuple

import numpy as np

from services.scoring.domain.chance import Rates, evidence_at, rate
from services.scoring.domain.normal import TABLES_KEPT, Floats, log_above

STATE_VERSION: Final = 1
_SPREADS: Final = 3
_MAGNITUDES: Final = 5
BOUNDS: Final = (0.03, 0.02, 0.01, 0.005)
"""Shares of ordinary sessions that policies speak in: of each a rare rating tells what would not have been so rare."""


@dataclass(frozen=True, slots=True)
class Config:
    """The scale and its prior in points; what a change looks like; what chance reaches.

    `fall`: the median fall in points, `fall_spread`: SD of its logarithm. `slide_share`: how much of all changes are
    slides, `slides`: their points a session, `windows`: over how many sessions. `rates`: (share of ordinary sessions,
    evidence that so many reach), shares falling. `onset_chance`: how often a session brings a change.
    """

    low: float
    high: float
    step: float
    mu0: float
    sb: float
    sw: float
    sw_spread: float
    fall: float
    fall_spread: float
    slide_share: float
    slides: tuple[float, ...]
    windows: tuple[int, ...]
    onset_chance: float
    grid_points: int
    rates: Rates


class State(NamedTuple):
    """What the ratings amount to: deviations from `mu0` inside the scale, how many lay at its ends, the last few."""

    inside: int
    deviations: float
    squares: float
    at_ceiling: int
    at_floor: int
    recent: tuple[float, ...] = ()
    version: int = STATE_VERSION

    @property
    def ratings(self) -> int:
        return self.inside + self.at_ceiling + self.at_floor


class Evidence(NamedTuple):
    """`log_ratio` in nats, positive for a change; `slide` the share of it that speaks for a slide.

    `probability`: that something changed at this session or has been sliding, given `onset_chance`. `rate`: the share
    of ordinary sessions with at least as much evidence.
    """

    log_ratio: float
    slide: float
    probability: float
    rate: float


class Reading(NamedTuple):
    """The evidence, and below which score there is too much of it for so many ordinary sessions."""

    evidence: Evidence
    bounds: tuple[tuple[float, float | None], ...]
    """(share of ordinary sessions, the lowest score that is not rarer); only where this rating is rare."""


class _Grid(NamedTuple):
    """Columns are the pairs of a spread and a level."""

    parts: Floats
    """Rows: prior; what a rating inside adds; its deviation; its square; one at the ceiling; one at the floor."""
    ordinary: Floats
    """Row `i`: how likely the `i`-th value of the scale is."""
    fallen: Floats
    """The same after a fall, over all falls."""
    slides: Floats
    """Per slide: its window, points a session, sum of its shifts, sum of their squares."""


def start(config: Config) -> State:  # noqa: ARG001 - every module of the domain starts alike
    return State(inside=0, deviations=0.0, squares=0.0, at_ceiling=0, at_floor=0)


def step(config: Config, state: State, score: float) -> tuple[State, Evidence | None]:
    """Take in one rating; `None` for the first, which has nothing to be compared with.

    >>> known = ((0.1, -0.3), (0.01, 1.8))
    >>> srs = Config(0, 40, 0.1, 39, 3.6, 2.4, 0.12, 6, 0.45, 0.08, (1.0, 1.5, 2.2), (2, 4), 0.03, 61, known)
    >>> state, _ = step(srs, start(srs), 38.0)
    >>> state, usual = step(srs, state, 37.5)
    >>> state, low = step(srs, state, 30.0)
    >>> usual.log_ratio < 0, round(low.log_ratio, 1), low.rate < 0.01
    (True, 3.3, True)
    """
    after = _learn(config, state, score)
    return after, _weigh(config, state, after, score) if state.ratings else None


def read(config: Config, state: State, score: float) -> tuple[State, Reading | None]:
    """`step`, and for a rating that is rare, what would not have been."""
    after, evidence = step(config, state, score)
    if evidence is None:
        return after, None
    rare = [share for share in BOUNDS if share > evidence.rate] if evidence.rate < max(BOUNDS) else []
    bounds = [(share, lowest_ordinary(config, state, evidence_at(config.rates, share))) for share in rare]
    return after, Reading(evidence, tuple(bounds))


def lowest_ordinary(config: Config, state: State, log_ratio: float) -> float | None:
    """The lowest score after `state` with less evidence than `log_ratio`; `None` where even the best has more."""

    def speaks(place: int) -> bool:
        score = round(config.low + place * config.step, 6)
        return step(config, state, score)[1].log_ratio < log_ratio  # type: ignore[union-attr]  # not the first

    last = round((config.high - config.low) / config.step)
    place = bisect_right(range(last + 1), False, key=speaks)  # evidence falls as scores rise
    return None if place > last else round(config.low + place * config.step, 6)


def _learn(config: Config, state: State, score: float) -> State:
    half = config.step / 2
    keep = max(config.windows) - 1
    recent = (*state.recent[-keep:], score) if keep else (score,)
    if score >= config.high - half:
        return state._replace(at_ceiling=state.at_ceiling + 1, recent=recent)
    if score <= config.low + half:
        return state._replace(at_floor=state.at_floor + 1, recent=recent)
    off = score - config.mu0
    return State(
        state.inside + 1,
        state.deviations + off,
        state.squares + off * off,
        state.at_ceiling,
        state.at_floor,
        recent,
    )


def _weigh(config: Config, before: State, after: State, score: float) -> Evidence:
    grid = _grid(config)
    shifted = _slides(config, grid, after, score)
    logs = np.array([_row(before), *shifted]) @ grid.parts
    top = logs.max(axis=1)
    logs -= top[:, None]
    np.exp(logs, out=logs)
    totals = logs.sum(axis=1)
    place = round((score - config.low) / config.step)
    ordinary = float(logs[0] @ grid.ordinary[place])
    fallen = float(logs[0] @ grid.fallen[place]) / ordinary
    slid = float(np.exp(top[1:] - top[0]) @ totals[1:]) / ordinary / len(grid.slides) if shifted else 0.0
    return _evidence(config, (1 - config.slide_share) * fallen, config.slide_share * slid)


def _evidence(config: Config, fallen: float, slid: float) -> Evidence:
    ratio = max(fallen + slid, 1e-12)
    odds = ratio * config.onset_chance / (1 - config.onset_chance)
    log_ratio = log(ratio)
    return Evidence(log_ratio, slid / ratio, odds / (1 + odds), rate(config.rates, log_ratio))


def _row(state: State) -> tuple[float, ...]:
    return 1.0, state.inside, state.deviations, state.squares, state.at_ceiling, state.at_floor


def _slides(config: Config, grid: _Grid, after: State, score: float) -> list[tuple[float, ...]]:
    """What the ratings would amount to had the latest ones not slid; only where none lay at an end of the scale."""
    half = config.step / 2
    off = [each - config.mu0 for each in after.recent if config.low + half < each < config.high - half]
    if len(off) < len(after.recent) or score > after.recent[0]:
        return []
    # sums of k times the k-th of the last m deviations, for every m: twice summed from the end
    weighted = list(accumulate(accumulate(reversed(off))))
    longest = min(len(off), after.ratings - 1)
    return [
        (
            1.0,
            after.inside,
            after.deviations + shifts,
            after.squares + 2 * points * weighted[int(window) - 1] + squares,
            after.at_ceiling,
            after.at_floor,
        )
        for window, points, shifts, squares in grid.slides.tolist()
        if window <= longest
    ]


@lru_cache(maxsize=TABLES_KEPT)
def _grid(config: Config) -> _Grid:
    """Once per configuration: 1.2 MB for a scale of 401 values."""
    lowest = max(config.low - 4 * config.sw, config.mu0 - 6 * config.sb)
    theta = np.linspace(lowest, min(config.high + 4 * config.sb, config.mu0 + 6 * config.sb), config.grid_points)
    nodes, weights = np.polynomial.hermite_e.hermegauss(_SPREADS)
    spreads = config.sw * np.exp(config.sw_spread * nodes)
    level, spread = (each.ravel() for each in np.meshgrid(theta, spreads))
    chances = np.repeat(weights / weights.sum(), config.grid_points)
    return _Grid(
        _parts(config, level, spread, chances),
        np.exp(_log_likelihood(config, level, spread)),
        _fallen(config, level, spread),
        np.array(
            [
                (window, points, points * window * (window + 1) / 2, points**2 * sum(k * k for k in range(window + 1)))
                for window in config.windows
                for points in config.slides
            ]
        ),
    )


def _parts(config: Config, level: Floats, spread: Floats, chances: Floats) -> Floats:
    off, half = level - config.mu0, config.step / 2
    precision = 1 / spread**2
    return np.vstack(
        [
            np.log(chances) - off**2 / (2 * config.sb**2),
            -np.log(spread) - off**2 * precision / 2,
            off * precision,
            -precision / 2,
            log_above((config.high - half - level) / spread),
            log_above((level - config.low - half) / spread),
        ]
    )


def _log_likelihood(config: Config, level: Floats, spread: Floats) -> Floats:
    """A row for each value of the scale, up to a constant within each row."""
    half = config.step / 2
    values = np.linspace(config.low, config.high, round((config.high - config.low) / config.step) + 1)
    rows = -np.log(spread) - ((values[:, None] - level) / spread) ** 2 / 2
    rows[0] = log_above((level - config.low - half) / spread)
    rows[-1] = log_above((config.high - half - level) / spread)
    return rows


def _fallen(config: Config, level: Floats, spread: Floats) -> Floats:
    nodes, weights = np.polynomial.hermite_e.hermegauss(_MAGNITUDES)
    falls = config.fall * np.exp(config.fall_spread * nodes)
    each = [np.exp(_log_likelihood(config, level - fall, spread)) for fall in falls]
    return np.tensordot(weights / weights.sum(), np.array(each), axes=1)
