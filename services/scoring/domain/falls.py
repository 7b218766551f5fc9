"""Domain brief 2(d): a fall against the previous rating, the client's own median and the first three ratings.

Rank 2 (`drop`) compares with the previous rating alone and is blind to a slow decline; the other two are not. Each is
in points and in reliable changes (Jacobson & Truax). That unit is made for people measured twice, not for a client's
own variation: it is here because services know it, and the residual chart is the better measure of surprise.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Final, NamedTuple

STATE_VERSION = 1
FIRST_RATINGS: Final = 3


@dataclass(frozen=True, slots=True)
class Config:
    """`critical` is a reliable change in points; the median is that of at most `median_of` ratings."""

    critical: float
    median_of: int


class State(NamedTuple):
    """The latest ratings, the newest last, and the number and sum of the first three."""

    recent: tuple[float, ...]
    first_ratings: int
    first_total: float
    version: int = STATE_VERSION


class Reading(NamedTuple):
    """Points below each of the three; `reliable_changes` is the largest of them in that unit."""

    below_previous: float | None
    below_median: float | None
    below_first: float | None
    usual: float | None
    reliable_changes: float | None
    reason: str


def start(config: Config) -> State:  # noqa: ARG001 - every module of the domain starts alike
    return State((), 0, 0.0)


def step(config: Config, state: State, score: float) -> tuple[State, Reading]:
    """Take in one rating.

    >>> srs = Config(critical=4.3, median_of=15)
    >>> state = start(srs)
    >>> for score in (38.0, 37.0, 39.0, 36.0, 33.0):
    ...     state, reading = step(srs, state, score)
    >>> reading.below_previous, reading.below_median, reading.below_first
    (3.0, 4.5, 5.0)
    >>> round(reading.reliable_changes, 2), reading.reason
    (1.16, '5.0 below the first three ratings')
    """
    return _taken(config, state, score), _measured(config, state, score)


def _measured(config: Config, state: State, score: float) -> Reading:
    if not state.recent:
        return Reading(None, None, None, None, None, "first rating: nothing to compare with yet")
    usual = median(state.recent)
    first = state.first_total / FIRST_RATINGS - score if state.first_ratings == FIRST_RATINGS else None
    falls = (
        (state.recent[-1] - score, "the previous rating"),
        (usual - score, "this client's median"),
        (first, "the first three ratings"),
    )
    most, against = max((fall, words) for fall, words in falls if fall is not None)
    reason = f"{abs(most):.1f} {'below' if most > 0 else 'at or above'} {against}"
    return Reading(falls[0][0], falls[1][0], first, usual, most / config.critical, reason)


def _taken(config: Config, state: State, score: float) -> State:
    recent = (*state.recent, score)[-config.median_of :]
    if state.first_ratings == FIRST_RATINGS:
        return State(recent, state.first_ratings, state.first_total)
    return State(recent, state.first_ratings + 1, state.first_total + score)
