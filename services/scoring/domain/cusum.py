"""The tabular cumulative sum (CUSUM): centre and spread known, both sides, the low one being what is watched.

`low_t = max(0, low_{t-1} - (x_t - centre) / sigma - allowance)` and `high_t` likewise upwards (Page 1954). An allowance
of .5 is best against a fall of one SD. A sum strictly above `decision_sds` is a signal; it then starts again from 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

STATE_VERSION = 1


@dataclass(frozen=True, slots=True)
class Config:
    """`centre` and `sigma` of one rating in points; `allowance_sds` and `decision_sds` are the textbooks' k and h."""

    centre: float
    sigma: float
    allowance_sds: float
    decision_sds: float


class State(NamedTuple):
    """The two sums, in SDs."""

    low: float
    high: float
    version: int = STATE_VERSION


class Reading(NamedTuple):
    """The sums after this rating, in SDs, before either starts again."""

    low: float
    high: float
    starts_again: bool
    reason: str


def start(config: Config) -> State:  # noqa: ARG001 - every module of the domain starts alike
    return State(0.0, 0.0)


def step(config: Config, state: State, score: float) -> tuple[State, Reading]:
    """Take in one rating.

    >>> chart = Config(centre=38, sigma=2, allowance_sds=0.5, decision_sds=3)
    >>> state, first = step(chart, start(chart), 34.0)
    >>> first.low, first.high, first.reason
    (1.5, 0.0, 'falls below usual add up to 1.5 SD')
    >>> step(chart, state, 33.0)[1].starts_again
    True
    """
    deviation = (score - config.centre) / config.sigma
    low = max(0.0, state.low - deviation - config.allowance_sds)
    high = max(0.0, state.high + deviation - config.allowance_sds)
    again = low > config.decision_sds
    after = State(0.0 if again else low, 0.0 if high > config.decision_sds else high)
    return after, Reading(low, high, again, _reason(low))


def _reason(low: float) -> str:
    return f"falls below usual add up to {low:.1f} SD" if low > 0 else "no falls below usual add up"
