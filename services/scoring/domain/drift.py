"""Rank 3: an EWMA chart on standardised residuals, for the slow decline that no single session shows.

Mean and spread are shrunk towards a clinic's usual (so that it works from session 2, and a row of perfect scores does
not make the next 39 an outlier), the upside is capped (one good session must not hide three bad ones), the limit is the
exact time-varying one (Lucas & Saccucci 1990), and the statistic starts again after it has crossed its own limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple

from services.scoring.domain.ewma import limit_factor, smooth
from services.scoring.domain.residuals import shrunk_mean, shrunk_spread

STATE_VERSION = 1


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


def _usual(config: Config, state: State) -> float:
    return shrunk_mean(state.total, state.ratings, config.usual, config.usual_ratings)


def _spread(config: Config, state: State) -> float:
    return shrunk_spread(state.moving_range, state.ratings, config.spread, config.spread_ratings)


def _accept(state: State, score: float, *, ewma: float = 0.0, sessions: int = 0) -> State:
    moved = 0.0 if state.last is None else abs(score - state.last)
    return State(state.ratings + 1, state.total + score, state.moving_range + moved, score, ewma, sessions)
