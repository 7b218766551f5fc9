"""OpenFIT's published dashboard rule, exactly: what a clinic that comes from there is used to, and no more.

Read in OpenFIT's own page on its dashboard (support.openfit.care, 204000069702). As an alert it speaks at 31 of 100
sessions, right in 8 % of them (our simulation, which is no clinical evidence). 36 is a vendor's convention.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

STATE_VERSION = 1
Colour = Literal["grey", "green", "orange", "red"]


@dataclass(frozen=True, slots=True)
class Config:
    """Points: red strictly below `cutoff`, and from a fall of `fall` since the last session on."""

    cutoff: float
    fall: float


class State(NamedTuple):
    """The previous session's score, if it was rated."""

    previous: float | None
    version: int = STATE_VERSION


class Reading(NamedTuple):
    """Grey where the session has no score."""

    colour: Colour
    reason: str


def start(config: Config) -> State:  # noqa: ARG001 - every module of the domain starts alike
    return State(None)


def step(config: Config, state: State, score: float | None) -> tuple[State, Reading]:
    """Take in one session of the Session Rating Scale, rated or not.

    >>> rule = Config(cutoff=36.0, fall=1.0)
    >>> state, first = step(rule, start(rule), 38.4)
    >>> state, second = step(rule, state, 37.4)
    >>> first.colour, second
    ('green', Reading(colour='red', reason='1.0 below the last session'))
    """
    return State(score), _read(config, state.previous, score)


def _read(config: Config, previous: float | None, score: float | None) -> Reading:
    """Differences are rounded to a millionth: 38.4 - 37.4 is a fall of 1, whatever binary fractions make of it."""
    if score is None:
        return Reading("grey", "no score")
    if score < config.cutoff:
        return Reading("red", f"below {config.cutoff:g}")
    if previous is not None and round(previous - score, 6) >= config.fall:
        return Reading("red", f"{previous - score:.1f} below the last session")
    return Reading("green", f"{config.cutoff:g} or above, no fall of {config.fall:g}")


def outcome_colour(ratings: int, score: float, target: float, least_target: float) -> Colour:
    """The same dashboard's rule for the Outcome Rating Scale; both targets are the clinic's expected response.

    >>> outcome_colour(1, 30.0, 25.0, 20.0), outcome_colour(2, 25.0, 25.0, 20.0), outcome_colour(2, 19.9, 25.0, 20.0)
    ('grey', 'green', 'red')
    """
    if ratings <= 1:
        return "grey"
    if score >= target:
        return "green"
    return "orange" if score >= least_target else "red"
