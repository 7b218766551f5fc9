"""Rank 10: the individuals chart (XmR), low side, with limits made for as few ratings as a therapy has.

```
centre  mean of the n ratings before this one          (Phase I never contains the tested rating: limits
sigma   mean moving range / 1.128, at least the floor   drawn through it would hide the very fall)
lower   centre - L(n) * sigma
```

Three sigma is right when thousands of ratings made the limits: with 4 it gives 3.8 % false alarms a session, not
.135 % (domain brief 2(a), 200,000 draws). `L(n)` is the multiple that gives 1 % or 2 %. A client who always gives the
maximum has a moving range of 0: hence the floor. The median version takes sigma from the median moving range / .954.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass
from statistics import median
from typing import Final, Literal, NamedTuple

from services.scoring.domain.residuals import MEAN_RANGE_SDS

STATE_VERSION = 1
MEDIAN_RANGE_SDS: Final = 0.954
"""Median moving range of two in SDs (JMP's documentation)."""
RANGE_LIMIT: Final = 3.267
"""Upper limit of the moving-range chart, in mean moving ranges (D4)."""
KEPT_RANGES: Final = 60
"""The median version keeps at most so many moving ranges: the state stays bounded."""
FEWEST_RATINGS: Final = 3

FalseAlarms = Literal["1 %", "2 %"]
_SIZES: Final = (3, 4, 5, 6, 8, 10, 15, 20)
_MULTIPLES: Final = {
    "1 %": (7.88, 5.24, 4.36, 3.84, 3.35, 3.11, 2.83, 2.68),
    "2 %": (5.42, 3.98, 3.41, 3.11, 2.78, 2.61, 2.41, 2.30),
}
_NORMAL: Final = {"1 %": 2.326348, "2 %": 2.053749}
"""The multiple that infinitely many ratings would need."""


@dataclass(frozen=True, slots=True)
class Config:
    """`limit`: a false-alarm rate, or a fixed multiple of sigma. `floor` is the least sigma, in points."""

    limit: FalseAlarms | float
    min_ratings: int
    floor: float
    spread_by: Literal["mean", "median"]


class State(NamedTuple):
    """The ratings so far; `ranges` are the moving ranges in order of size, kept for the median version alone."""

    ratings: int
    total: float
    moving_range: float
    last: float | None
    ranges: tuple[float, ...] = ()
    version: int = STATE_VERSION


class Limits(NamedTuple):
    """The chart that these ratings make, in points; `upper_range` is the limit of the moving-range chart."""

    centre: float
    sigma: float
    lower: float
    upper: float
    mean_range: float
    upper_range: float


class Reading(NamedTuple):
    """How far below the centre, in sigmas, against how far is too far; `None` before `min_ratings` are known."""

    below_sds: float | None
    limit_sds: float | None
    limits: Limits | None
    moving_range: float | None
    reason: str


def start(config: Config) -> State:  # noqa: ARG001 - every module of the domain starts alike
    return State(ratings=0, total=0.0, moving_range=0.0, last=None)


def step(config: Config, state: State, score: float) -> tuple[State, Reading]:
    """Take in one rating: measured against those before it, then one of them.

    >>> srs = Config(limit="1 %", min_ratings=4, floor=1.0, spread_by="mean")
    >>> state = start(srs)
    >>> for score in (38.0, 37.0, 38.5, 37.5, 31.0):
    ...     state, reading = step(srs, state, score)
    >>> reading.limits.centre, round(reading.limits.sigma, 3), round(reading.limits.lower, 2), reading.reason
    (37.75, 1.034, 32.33, '6.8 below the mean of 4 ratings (6.5 sigma, limit 5.2)')
    """
    moved = None if state.last is None else abs(score - state.last)
    return _accept(config, state, score, moved), _measure(config, state, score, moved)


def limits(config: Config, state: State) -> Limits | None:
    """The chart of the ratings taken in; `None` where they are too few."""
    if state.ratings < max(config.min_ratings, FEWEST_RATINGS):
        return None
    centre, sigma = state.total / state.ratings, _sigma(config, state)
    width = multiple(config.limit, state.ratings) * sigma
    mean_range = state.moving_range / (state.ratings - 1)
    return Limits(centre, sigma, centre - width, centre + width, mean_range, RANGE_LIMIT * mean_range)


def multiple(limit: FalseAlarms | float, ratings: int) -> float:
    """How many sigmas below the mean of so many ratings the next one may lie.

    Between the sizes that were simulated it is linear in 1/n; past 20 it runs towards the normal quantile.

    >>> multiple("1 %", 4), round(multiple("1 %", 7), 2), round(multiple("1 %", 40), 2), multiple(3.0, 4)
    (5.24, 3.56, 2.5, 3.0)
    """
    if isinstance(limit, float | int):
        return float(limit)
    known, place = _MULTIPLES[limit], bisect_left(_SIZES, ratings)
    if place == 0:
        return known[0]
    if place == len(_SIZES):
        return _NORMAL[limit] + (known[-1] - _NORMAL[limit]) * _SIZES[-1] / ratings
    share = (1 / _SIZES[place - 1] - 1 / ratings) / (1 / _SIZES[place - 1] - 1 / _SIZES[place])
    return known[place - 1] + share * (known[place] - known[place - 1])


def _measure(config: Config, state: State, score: float, moved: float | None) -> Reading:
    chart = limits(config, state)
    if chart is None:
        wanted = max(config.min_ratings, FEWEST_RATINGS)
        return Reading(None, None, None, moved, f"{state.ratings} of {wanted} ratings before: no limit yet")
    below, limit = (chart.centre - score) / chart.sigma, multiple(config.limit, state.ratings)
    side = "below" if below > 0 else "above"
    words = f"{abs(chart.centre - score):.1f} {side} the mean of {state.ratings} ratings"
    return Reading(below, limit, chart, moved, f"{words} ({abs(below):.1f} sigma, limit {limit:.1f})")


def _sigma(config: Config, state: State) -> float:
    own = state.moving_range / (state.ratings - 1) / MEAN_RANGE_SDS
    if config.spread_by == "median":
        own = median(state.ranges) / MEDIAN_RANGE_SDS
    return max(own, config.floor)


def _accept(config: Config, state: State, score: float, moved: float | None) -> State:
    ranges = state.ranges
    if config.spread_by == "median" and moved is not None and len(ranges) < KEPT_RANGES:
        ordered = list(ranges)
        insort(ordered, moved)
        ranges = tuple(ordered)
    return State(state.ratings + 1, state.total + score, state.moving_range + (moved or 0.0), score, ranges)
