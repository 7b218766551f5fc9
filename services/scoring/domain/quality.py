"""Ratings to ask about before believing them: a slider set wrongly looks like a crisis, and a crisis like that.

And ratings that say nothing: the highest possible one, session after session, is no information about the alliance, and
is told as that. It is never told as "excellent": who fears to give offence rates like who has nothing to complain of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from schemas.instruments import Instrument, Scale
from services.scoring.domain.facts import Rating

STATE_VERSION = 1
RUSHED_SECONDS: Final = 5.0
LOW_FIRST_SHARE: Final = 0.65
"""Of the span: 26 of 40 on the SRS, the lowest first rating that is still usual."""


MIRRORED_DROP_SHARE: Final = 0.5
MIRRORED_WITHIN_SHARE: Final = 0.1
"""Of the span: a rating this far below usual, and its mirror image this near to it: a scale read backwards?"""


def flags(
    instrument: Instrument, rating: Rating, score: float | None, *, expected: float | None, first: bool
) -> tuple[str, ...]:
    """What speaks for a slip of the hand; `score` and `expected` run upwards.

    >>> from schemas.instruments import lookup
    >>> srs = lookup("srs@3")
    >>> worst = Rating("srs@3", "client", {item.code: 0.0 for item in srs.items}, seconds_to_complete=3.0)
    >>> flags(srs, worst, 0.0, expected=None, first=True)
    ('rushed', 'all-items-at-worst', 'low-first-rating')
    >>> flags(srs, Rating("srs@3", "client", total=3.0), 3.0, expected=38.0, first=False)
    ('mirrored',)
    >>> ends = dict(zip((item.code for item in srs.items), (0.0, 10.0, 10.0, 0.0)))
    >>> flags(srs, Rating("srs@3", "client", ends), 20.0, expected=None, first=False)
    ('all-items-at-extremes',)
    """
    scale = instrument.total
    seconds = rating.seconds_to_complete
    low = scale.low + LOW_FIRST_SHARE * scale.span
    checks = (
        ("rushed", seconds is not None and seconds < RUSHED_SECONDS),
        ("all-items-at-worst", bool(rating.items) and score is not None and score <= scale.low),
        ("all-items-at-extremes", _at_both_ends(instrument, rating)),
        ("low-first-rating", instrument.family == "alliance" and first and score is not None and score < low),
        ("mirrored", score is not None and expected is not None and _mirrored(scale, score, expected)),
    )
    return tuple([name for name, holds in checks if holds])


@dataclass(frozen=True, slots=True)
class Config:
    """From how many ratings in a row at the top of the scale on they say nothing."""

    scale: Scale
    silent_from: int


class State(NamedTuple):
    """Ratings so far, how many of them in a row at the top, and the sum of those that were not read backwards."""

    ratings: int
    at_top: int
    trusted: int
    total: float
    version: int = STATE_VERSION


class Reading(NamedTuple):
    """`informative` is `None` as long as too few ratings are known to say; `mirrored` is by this client's own mean."""

    informative: bool | None
    at_top: int
    always: bool
    mirrored: bool
    reason: str


def start(config: Config) -> State:  # noqa: ARG001 - every module of the domain starts alike
    return State(0, 0, 0, 0.0)


def step(config: Config, state: State, score: float) -> tuple[State, Reading]:
    """Take in one rating of this client's series.

    >>> from schemas.instruments import lookup
    >>> srs = Config(lookup("srs@3").total, silent_from=3)
    >>> state = start(srs)
    >>> for score in (40.0, 40.0, 40.0):
    ...     state, reading = step(srs, state, score)
    >>> reading.informative, reading.reason
    (False, 'no information: the highest possible rating 3 times in a row')
    """
    at_top = state.at_top + 1 if score >= config.scale.high - config.scale.step / 2 else 0
    usual = state.total / state.trusted if state.trusted else None
    mirrored = usual is not None and _mirrored(config.scale, score, usual)
    reading = _informed(config, state, at_top, mirrored=mirrored)
    trusted, total = (state.trusted, state.total) if mirrored else (state.trusted + 1, state.total + score)
    return State(state.ratings + 1, at_top, trusted, total), reading


def _informed(config: Config, state: State, at_top: int, *, mirrored: bool) -> Reading:
    ratings = state.ratings + 1
    always = at_top == ratings
    if mirrored:
        return Reading(None, at_top, always, mirrored, "this client's scale the other way round? Worth asking")
    if at_top >= config.silent_from:
        words = f"no information: the highest possible rating {at_top} times in a row"
        return Reading(False, at_top, always, mirrored, words)
    if always:
        return Reading(None, at_top, always, mirrored, "too few ratings to tell whether they inform")
    return Reading(True, at_top, always, mirrored, "ratings vary")


def _at_both_ends(instrument: Instrument, rating: Rating) -> bool:
    """Every answer at an end of its scale, and not all at the same: a form clicked through, or a very mixed session."""
    answered = [(instrument.item(code), value) for code, value in rating.items.items() if value is not None]
    ends = [(value <= item.scale.low, value >= item.scale.high) for item, value in answered if item is not None]
    lows, highs = sum(low for low, _ in ends), sum(high for _, high in ends)
    return lows > 0 and highs > 0 and lows + highs == len(ends)


def _mirrored(scale: Scale, score: float, expected: float) -> bool:
    far = expected - score >= MIRRORED_DROP_SHARE * scale.span
    return far and abs(scale.low + scale.high - score - expected) <= MIRRORED_WITHIN_SHARE * scale.span
