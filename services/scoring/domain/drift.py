"""Rank 3: an EWMA chart on standardised residuals, for the slow decline that no single session shows.

Mean and spread are shrunk towards a clinic's usual (so that it works from session 2, and a row of perfect scores does
not make the next 39 an outlier), the upside is capped (one good session must not hide three bad ones), the limit is the
exact time-varying one (Lucas & Saccucci 1990), and the statistic starts again after it has crossed its own limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple

STATE_VERSION = 1
_D2 = 1.128
"""Mean moving range of two in SDs, as charts round it."""


@dataclass(frozen=True, slots=True)
class Config:
    """`usual` and `spread` are points; `usual_ratings` and `spread_ratings` are how many ratings they weigh."""

    weight: float
    reset_at_sds: float
    upside_cap_sds: float
    usual: float
    usual_ratings: float
    spread: float
    spread_ratings: float


class State(NamedTuple):
    """The baseline (ratings that did not cross the limit) and the statistic since its last reset."""

    ratings: int
    total: float
    moving_range: float
    last: float | None
    ewma: float
    sessions: int
    version: int = STATE_VERSION


class Reading(NamedTuple):
    """How far the statistic lies below the client's own usual, in its SDs; `None` for the first rating."""

    below_sds: float | None
    ewma: float | None
    usual: float | None
    spread: float | None
    sessions: int


def start(config: Config) -> State:  # noqa: ARG001 - every module of the domain starts alike
    return State(ratings=0, total=0.0, moving_range=0.0, last=None, ewma=0.0, sessions=0)


def step(config: Config, state: State, score: float) -> tuple[State, Reading]:
    """Take in one rating.

    >>> srs = Config(0.3, 2.5, 1.0, 37.0, 1.5, 2.2, 6.0)
    >>> state, _ = step(srs, start(srs), 38.0)
    >>> state, second = step(srs, state, 35.0)
    >>> round(second.usual, 2), round(second.below_sds, 3)
    (37.4, 0.922)
    """
    if state.ratings == 0:
        return _accept(state, score), Reading(None, None, None, None, 0)
    usual, spread = _usual(config, state), _spread(config, state)
    residual = (score - usual) / spread / sqrt(1 + 1 / (config.usual_ratings + state.ratings))
    sessions = state.sessions + 1
    ewma = smooth(config.weight, state.ewma, min(residual, config.upside_cap_sds))
    below = -ewma / limit_factor(config.weight, sessions)
    reading = Reading(below, ewma, usual, spread, sessions)
    if below > config.reset_at_sds:
        return State(state.ratings, state.total, state.moving_range, state.last, 0.0, 0), reading
    return _accept(state, score, ewma=ewma, sessions=sessions), reading


def smooth(weight: float, before: float, value: float) -> float:
    """One step of the exponentially weighted mean.

    >>> smooth(0.5, smooth(0.5, 10, 11), 13)
    11.75
    """
    return weight * value + (1 - weight) * before


def limit_factor(weight: float, sessions: int) -> float:
    """SD of the statistic after so many sessions, in SDs of one rating: smaller early, which the asymptote forgets.

    >>> [round((2 * limit_factor(0.5, n)) ** 2, 4) for n in (1, 2, 3)]
    [1.0, 1.25, 1.3125]
    """
    return sqrt(weight / (2 - weight) * (1 - (1 - weight) ** (2 * sessions)))


def _usual(config: Config, state: State) -> float:
    return (config.usual_ratings * config.usual + state.total) / (config.usual_ratings + state.ratings)


def _spread(config: Config, state: State) -> float:
    """The client's own spread by the mean moving range, shrunk: never 0, however constant the ratings."""
    own = state.ratings - 1
    own_variance = (state.moving_range / own / _D2) ** 2 if own else 0.0
    shrunk = (config.spread_ratings * config.spread**2 + own * own_variance) / (config.spread_ratings + own)
    return sqrt(shrunk)


def _accept(state: State, score: float, *, ewma: float = 0.0, sessions: int = 0) -> State:
    moved = 0.0 if state.last is None else abs(score - state.last)
    return State(state.ratings + 1, state.total + score, state.moving_range + moved, score, ewma, sessions)
