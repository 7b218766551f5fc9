"""The run rules of Western Electric (1956) and Nelson (1984), on ratings whose centre and spread are known.

Which of them a published procedure for alliance data uses could not be read (domain brief 2(a)), so nothing is claimed
"per Eubanks-Carter". Rules of eight or nine points are longer than the median therapy of seven sessions. Inequalities
and windows are those of qcc: strictly beyond a limit, whole windows only, the newest rating being one of the points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal, NamedTuple

STATE_VERSION = 1
LONGEST: Final = 15
Side = Literal["low", "both"]


@dataclass(frozen=True, slots=True)
class Config:
    """Points of the scale. On the `low` side only rules that speak of low or falling ratings are read."""

    centre: float
    sigma: float
    side: Side


class State(NamedTuple):
    """The latest ratings in SDs from the centre, at most as many as the longest rule reads; the newest last."""

    recent: tuple[float, ...]
    version: int = STATE_VERSION


class Reading(NamedTuple):
    """The numbers of the rules that this rating completes, by the two published lists."""

    western: tuple[int, ...]
    nelson: tuple[int, ...]
    reason: str


def start(config: Config) -> State:  # noqa: ARG001 - every module of the domain starts alike
    return State(())


def step(config: Config, state: State, score: float) -> tuple[State, Reading]:
    """Take in one rating.

    >>> chart = Config(centre=38, sigma=2, side="low")
    >>> state = start(chart)
    >>> for score in (38, 33, 36, 32.8):
    ...     state, reading = step(chart, state, score)
    >>> reading.western, reading.nelson, reading.reason
    ((2,), (5,), '2 of the last 3 ratings more than 2 SD below')
    """
    recent = (*state.recent, (score - config.centre) / config.sigma)[-LONGEST:]
    sides = (-1.0,) if config.side == "low" else (-1.0, 1.0)
    western, nelsons = western_electric(recent, sides), nelson(recent, sides)
    return State(recent), Reading(western, nelsons, _reason(western, nelsons))


def western_electric(recent: Sequence[float], sides: Sequence[float]) -> tuple[int, ...]:
    """1: a point beyond 3 SD; 2: two of three beyond 2; 3: four of five beyond 1; 4: eight on one side.

    >>> western_electric((2.5,) * 7 + (3.2,), sides=(-1, 1))
    (1, 2, 3, 4)
    """
    rules = (
        any(_beyond(recent, side, 3, 1, 1) for side in sides),
        any(_beyond(recent, side, 2, 2, 3) for side in sides),
        any(_beyond(recent, side, 1, 4, 5) for side in sides),
        any(_beyond(recent, side, 0, 8, 8) for side in sides),
    )
    return _numbers(rules)


def nelson(recent: Sequence[float], sides: Sequence[float]) -> tuple[int, ...]:
    """1: a point beyond 3 SD; 2: nine on one side; 3: six rising or falling; 4: fourteen alternating.

    5: two of three beyond 2; 6: four of five beyond 1; 7: fifteen within 1; 8: eight outside 1, on both sides. Rules
    4, 7 and 8 have no side and are read only where both are.

    >>> nelson((7, 6, 5, 4, 3, 2), sides=(-1,)), nelson((7, 6, 5, 4, 3, 2), sides=(1,))
    ((3,), (6,))
    """
    both = len(sides) > 1
    rules = (
        any(_beyond(recent, side, 3, 1, 1) for side in sides),
        any(_beyond(recent, side, 0, 9, 9) for side in sides),
        any(_trend(recent, side) for side in sides),
        both and _alternating(recent),
        any(_beyond(recent, side, 2, 2, 3) for side in sides),
        any(_beyond(recent, side, 1, 4, 5) for side in sides),
        both and len(recent) >= LONGEST and all(abs(each) <= 1 for each in recent[-LONGEST:]),
        both and _straddling(recent),
    )
    return _numbers(rules)


def _numbers(rules: Sequence[bool]) -> tuple[int, ...]:
    return tuple([number for number, holds in enumerate(rules, start=1) if holds])


def _beyond(recent: Sequence[float], side: float, sds: float, points: int, window: int) -> bool:
    """So many of the window's points beyond so many SDs, the newest among them."""
    if len(recent) < window or side * recent[-1] <= sds:
        return False
    return sum(side * each > sds for each in recent[-window:]) >= points


def _trend(recent: Sequence[float], side: float) -> bool:
    return len(recent) >= 6 and all(side * after > side * before for before, after in pairwise(recent[-6:]))


def _alternating(recent: Sequence[float]) -> bool:
    if len(recent) < 14:
        return False
    moves = [after - before for before, after in pairwise(recent[-14:])]
    return all(before * after < 0 for before, after in pairwise(moves))


def _straddling(recent: Sequence[float]) -> bool:
    window = recent[-8:]
    outside = len(window) == 8 and all(abs(each) > 1 for each in window)
    return outside and min(window) < 0 < max(window)


_WESTERN_WORDS: Final = (
    "more than 3 SD below",
    "2 of the last 3 ratings more than 2 SD below",
    "4 of the last 5 ratings more than 1 SD below",
    "8 ratings in a row below",
)
_NELSON_WORDS: Final = {2: "9 ratings in a row below", 3: "6 ratings in a row, each lower than the one before"}


def _reason(western: tuple[int, ...], nelsons: tuple[int, ...]) -> str:
    words = [_WESTERN_WORDS[number - 1] for number in western]
    words += [_NELSON_WORDS[number] for number in nelsons if number in _NELSON_WORDS]
    return "; ".join(words) or "no run of low ratings"
