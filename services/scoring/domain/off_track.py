"""Off-track: how far an outcome lies below the response that is usual from such a beginning (domain brief 3.1).

    E[final | x0] = post + r (x0 - pre)          E[t] = x0 + (E[final] - x0) ln t / ln sessions,  t at most `sessions`
    SD_t = residual sqrt(ln t / ln sessions)     residual = SD sqrt(1 - r^2)

The shipped curve is an open surrogate for the ORS, whose own tables are proprietary; other measures have it scaled to
their span, with their own cut-off. A clinic with 300 closed episodes has its own (`services.lab.offtrack_fit`).
Somebody who begins above the cut-off is not expected to gain: of them, only reliable deterioration is told.
Scores run upwards. A number with its reason: which SDs are amber or red is policy's to say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log, sqrt
from typing import Final, Literal, NamedTuple

from schemas.instruments import Instrument, Scale, Source

STATE_VERSION: Final = 1
LEAST_SCORES: Final = 2
ORANGE_SDS: Final = 0.25
RED_SDS: Final = 0.67
"""Where others draw their lines (the lowest 40 % and 25 % of like beginnings): for policies to start from."""


@dataclass(frozen=True, slots=True)
class Curve:
    """`gain` and `per_point`: `E[final] - x0 = gain + per_point x0`; `residual`: SD about `E[final]`; all in points."""

    gain: float
    per_point: float
    residual: float
    sessions: int
    source: Source
    version: int = 0


@dataclass(frozen=True, slots=True)
class Config:
    """Points of a scale that runs upwards. `cutoff`: from there on one is in the functional range."""

    curve: Curve
    low: float
    high: float
    cutoff: float | None
    deterioration: float
    deterioration_source: Source


class State(NamedTuple):
    """The first score, and how many there have been."""

    intake: float | None
    scores: int
    version: int = STATE_VERSION


Track = Literal["too early", "expected", "below", "no gain expected"]


class Reading(NamedTuple):
    """`below_sds`: below the expected score in its SDs, negative above it; `None` where nothing can be expected.

    `change`: since intake; `deteriorated`: by a reliable change or more; `orange_below`, `red_below`: the scores under
    which others would colour this one. `scores`: how many there have been; `reliable`: how much a reliable change is.
    """

    track: Track
    expected: float | None
    below_sds: float | None
    change: float
    deteriorated: bool
    orange_below: float | None
    red_below: float | None
    scores: int
    reliable: float
    reason: str


def start(config: Config) -> State:  # noqa: ARG001 - every module of the domain starts alike
    return State(None, 0)


def step(config: Config, state: State, score: float) -> tuple[State, Reading]:
    """Take in one score.

    >>> from schemas.instruments import lookup
    >>> ors = shipped(lookup("ors@1"))
    >>> state, _ = step(ors, start(ors), 20.0)
    >>> state, second = step(ors, state, 18.0)
    >>> round(second.expected, 2), round(second.below_sds, 2), second.deteriorated
    (22.24, 1.08, False)
    """
    if state.intake is None:
        early = "first score: nothing to compare with yet"
        return State(score, 1), Reading("too early", None, None, 0.0, False, None, None, 1, config.deterioration, early)
    after = State(state.intake, state.scores + 1)
    return after, _read(config, state.intake, after.scores, score)


def again(config: Config, after: State, score: float) -> Reading:
    """What was said of the score that led to this state."""
    intake = None if after.scores == 1 else after.intake
    return step(config, State(intake, after.scores - 1), score)[1]


def turned(reading: Reading, turn: Callable[[float], float]) -> Reading:
    """The same reading, its lines given on the instrument's own scale."""
    lines = (reading.expected, reading.orange_below, reading.red_below)
    expected, orange, red = (None if line is None else turn(line) for line in lines)
    return reading._replace(expected=expected, orange_below=orange, red_below=red)


def expected(curve: Curve, intake: float, session: int) -> float:
    """`E[t]`, in points upwards; the intake itself at session 1.

    >>> ors = Curve(18.45, -0.55, residual=7.14, sessions=10, source=Source("open surrogate", "assumed"))
    >>> [round(expected(ors, intake, 10) - intake, 2) for intake in (10, 20, 30)]
    [12.95, 7.45, 1.95]
    """
    return intake + (curve.gain + curve.per_point * intake) * _share(curve, session)


def spread(curve: Curve, session: int) -> float:
    """`SD_t`, in points; 0 at session 1."""
    return curve.residual * sqrt(_share(curve, session))


def _share(curve: Curve, session: int) -> float:
    return log(min(session, curve.sessions)) / log(curve.sessions)


def _read(config: Config, intake: float, session: int, score: float) -> Reading:
    change = round(score - intake, 6)
    deteriorated = change <= -config.deterioration
    if config.cutoff is not None and intake >= config.cutoff:
        reason = _above(change, deteriorated)
        known = (change, deteriorated, None, None, session, config.deterioration)
        return Reading("no gain expected", None, None, *known, reason)
    middle = min(max(expected(config.curve, intake, session), config.low), config.high)
    sd = spread(config.curve, session)
    below = (middle - score) / sd
    orange, red = middle - ORANGE_SDS * sd, middle - RED_SDS * sd
    track: Track = "below" if below > 0 else "expected"
    reason = _words(middle, score, change, deteriorated=deteriorated)
    return Reading(track, middle, below, change, deteriorated, orange, red, session, config.deterioration, reason)


def _above(change: float, deteriorated: bool) -> str:  # noqa: FBT001 - two facts of one sentence
    return f"began in the functional range, where no gain is expected; {_since(change)}{_reliably(deteriorated)}"


def _words(middle: float, score: float, change: float, *, deteriorated: bool) -> str:
    side = "worse" if score < middle else "better"
    usual = f"{abs(middle - score):.1f} points {side} than is usual from such a beginning"
    return f"{usual}; {_since(change)}{_reliably(deteriorated)}"


def _since(change: float) -> str:
    if abs(change) < 0.05:
        return "as at the beginning"
    return f"{abs(change):.1f} points {'worse' if change < 0 else 'better'} than at the beginning"


def _reliably(deteriorated: bool) -> str:  # noqa: FBT001 - the end of a sentence or nothing
    return ", which is a reliable deterioration" if deteriorated else ""


# ------------------------------------------------------------------ what is shipped


_ORS_SPAN: Final = 40.0
_PRE: Final = 19.0
_POST: Final = 27.0
_SD: Final = 8.0
_CORRELATION: Final = 0.45
_SESSIONS: Final = 10
_SURROGATE: Final = Source(
    "open surrogate: intake 19, end 27, SD 8, r .45; intake 20 gains 7.5 where a public table says 8.0", "assumed"
)
_SCALED: Final = Source("the ORS's surrogate at the same share of this scale's span", "assumed")
_OWN_FIGURE: Final = "reliable change"


def shipped(instrument: Instrument) -> Config:
    """Until a clinic has its own: the surrogate on this instrument's scale, turned upwards.

    >>> from schemas.instruments import lookup
    >>> [shipped(lookup(key)).deterioration for key in ("phq-9@1", "gad-7@1", "core-10@1", "ors@1")]
    [6, 4, 6, 5]
    """
    scale = instrument.total
    figure = next((each for each in instrument.figures if each.name == _OWN_FIGURE), None)
    unit = scale.span / _ORS_SPAN
    return Config(
        curve=surrogate(scale.low, unit, _SURROGATE if instrument.key == "ors@1" else _SCALED),
        low=scale.low,
        high=scale.high,
        cutoff=_functional(instrument),
        deterioration=figure.value if figure else 5 * unit,
        deterioration_source=figure.source if figure else _SCALED,
    )


def on_scale(scale: Scale) -> Config:
    """The surrogate on any scale that runs upwards and has no cut-off: for laws and comparison."""
    unit = scale.span / _ORS_SPAN
    return Config(surrogate(scale.low, unit, _SCALED), scale.low, scale.high, None, 5 * unit, _SCALED)


def surrogate(low: float, unit: float, source: Source) -> Curve:
    """`x0` in points above the scale's end, as the ORS begins at 0."""
    per_point = _CORRELATION - 1
    gain = (_POST - _CORRELATION * _PRE) * unit - per_point * low
    return Curve(gain, per_point, _SD * sqrt(1 - _CORRELATION**2) * unit, _SESSIONS, source)


def _functional(instrument: Instrument) -> float | None:
    """The first conventional line, turned upwards: the score from which on one is in the functional range."""
    if not instrument.cutoffs:
        return None
    line, scale = instrument.cutoffs[0], instrument.total
    if instrument.direction == "up":
        return line.value
    return scale.low + scale.high - line.value + (scale.step if line.comparator == "ge" else 0.0)
