"""The exponentially weighted moving average (EWMA) chart of the textbooks: centre and spread known, limits exact.

`z_t = weight * x_t + (1 - weight) * z_{t-1}` from `z_0 = centre`; its SD after `t` ratings is
`sigma * sqrt(weight / (2 - weight) * (1 - (1 - weight)^(2t)))` (Lucas & Saccucci 1990): the asymptote alone would be
too wide early, when most of a therapy happens. The low side is watched, in points of the scale, which runs upwards.
Rank 3 (`drift`) is this chart on a client's own shrunk residuals.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple

STATE_VERSION = 1


@dataclass(frozen=True, slots=True)
class Config:
    """`centre` and `sigma` of one rating in points; past `reset_at_sds` below the centre the average starts again."""

    weight: float
    centre: float
    sigma: float
    reset_at_sds: float


class State(NamedTuple):
    """The average, and how many ratings went into it since it last started."""

    ewma: float
    sessions: int
    version: int = STATE_VERSION


class Reading(NamedTuple):
    """How far the average lies below the centre, in SDs of the average; `sigma` is that SD in points."""

    below_sds: float
    ewma: float
    sigma: float
    sessions: int
    starts_again: bool
    reason: str


def start(config: Config) -> State:
    return State(config.centre, 0)


def step(config: Config, state: State, score: float) -> tuple[State, Reading]:
    """Take in one rating. A limit is crossed strictly beyond it.

    >>> chart = Config(weight=0.5, centre=10, sigma=2, reset_at_sds=3)
    >>> state, first = step(chart, start(chart), 7.0)
    >>> first.ewma, first.sigma, first.below_sds, first.reason
    (8.5, 1.0, 1.5, 'recent sessions together 1.5 SD below usual')
    """
    sessions = state.sessions + 1
    ewma = smooth(config.weight, state.ewma, score)
    sigma = config.sigma * limit_factor(config.weight, sessions)
    below = (config.centre - ewma) / sigma
    again = below > config.reset_at_sds
    side = "below" if below > 0 else "at or above"
    reason = f"recent sessions together {abs(below):.1f} SD {side} usual"
    return start(config) if again else State(ewma, sessions), Reading(below, ewma, sigma, sessions, again, reason)


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
