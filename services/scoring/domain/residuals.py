"""A rating against this client's own usual, shrunk towards a clinic's: usable from the second session.

```
usual    mu_n  = (k * mu_0 + sum of n ratings) / (k + n)
spread   s_n^2 = (n_0 * s_0^2 + (n - 1) * (mean moving range / 1.128)^2) / (n_0 + n - 1)
residual e     = (y - mu_n) / (s_n * sqrt(1 + 1 / (k + n)))
```

The normal shrinkage version of domain brief 2(g). Baseline and tested rating never overlap: the rating is measured
against those before it, and joins them afterwards. Charts that need a centre and a spread run on these residuals.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple

STATE_VERSION = 1
MEAN_RANGE_SDS = 1.128
"""Mean moving range of two in SDs (d2), as charts round it; exactly 2 / sqrt(pi)."""


@dataclass(frozen=True, slots=True)
class Config:
    """`usual` and `spread` are points; `usual_ratings` and `spread_ratings` are how many ratings they weigh."""

    usual: float
    usual_ratings: float
    spread: float
    spread_ratings: float


class State(NamedTuple):
    """The baseline: how many ratings, their sum, the sum of their moving ranges, and the last of them."""

    ratings: int
    total: float
    moving_range: float
    last: float | None
    version: int = STATE_VERSION


class Reading(NamedTuple):
    """How far the rating lies below this client's usual, in SDs of what was to be expected and in points."""

    below_sds: float | None
    below_points: float | None
    usual: float | None
    spread: float | None
    reason: str


def start(config: Config) -> State:  # noqa: ARG001 - every module of the domain starts alike
    return State(ratings=0, total=0.0, moving_range=0.0, last=None)


def step(config: Config, state: State, score: float) -> tuple[State, Reading]:
    """Take in one rating.

    >>> srs = Config(usual=37, usual_ratings=1.5, spread=2.2, spread_ratings=6)
    >>> state, first = step(srs, start(srs), 38.0)
    >>> first.reason
    'first rating: nothing to compare with yet'
    >>> _, second = step(srs, state, 33.0)
    >>> round(second.below_sds, 3), round(second.usual, 2), second.reason
    (1.69, 37.4, "4.4 below this client's usual (1.7 SD)")
    """
    return accept(state, score), measure(config, state, score)


def measure(config: Config, state: State, score: float) -> Reading:
    """The rating against the baseline before it; nothing is learned."""
    if state.ratings == 0:
        return Reading(None, None, None, None, "first rating: nothing to compare with yet")
    usual, spread = usual_of(config, state), spread_of(config, state)
    below = usual - score
    sds = below / spread / sqrt(1 + 1 / (config.usual_ratings + state.ratings))
    side = "below" if below > 0 else "above"
    return Reading(sds, below, usual, spread, f"{abs(below):.1f} {side} this client's usual ({abs(sds):.1f} SD)")


def accept(state: State, score: float) -> State:
    """The baseline with this rating in it."""
    moved = 0.0 if state.last is None else abs(score - state.last)
    return State(state.ratings + 1, state.total + score, state.moving_range + moved, score)


def usual_of(config: Config, state: State) -> float:
    return shrunk_mean(state.total, state.ratings, config.usual, config.usual_ratings)


def spread_of(config: Config, state: State) -> float:
    return shrunk_spread(state.moving_range, state.ratings, config.spread, config.spread_ratings)


def shrunk_mean(total: float, ratings: int, towards: float, weight: float) -> float:
    """The mean of some ratings and of `weight` ratings that lie at `towards`.

    >>> shrunk_mean(total=76, ratings=2, towards=37, weight=2)
    37.5
    """
    return (weight * towards + total) / (weight + ratings)


def shrunk_spread(moving_range: float, ratings: int, towards: float, weight: float) -> float:
    """The client's own SD by the mean moving range, shrunk: never 0, however constant the ratings.

    >>> round(shrunk_spread(moving_range=0, ratings=4, towards=2.2, weight=6), 4)
    1.7963
    """
    own = ratings - 1
    own_variance = (moving_range / own / MEAN_RANGE_SDS) ** 2 if own else 0.0
    return sqrt((weight * towards**2 + own * own_variance) / (weight + own))
