"""Dropout as a hazard: how likely it is that nobody comes again, told at the end of each session.

A logit for each session a client has come to (domain brief 3.2), `h_t = logistic(a_t + b'x_t)`: `a_t` is one number for
each of the first six sessions, then a line in `ln t`; `x_t` is what is known when session `t` ends, and nothing later.
Ends that are no dropout (agreed, handed over, closed by the office) compete: they have a logit of their own, for those
who did not drop out. Unknown is not 0: a feature that is not known adds nothing, as if it were at its mean.

Features are about the care alone: no age, sex, origin, diagnosis or address is taken, and none has a place here.
A model is data with a card. It says nothing until it has passed its gate; what is too likely is policy's to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import exp, log
from typing import Final, NamedTuple

FIRST_SESSIONS: Final = 6
HORIZON: Final = 3
_FORTIETHS_BELOW: Final = 3.0
_USUAL_RATINGS: Final = 1.5
_STANDS: Final = 0.7
_LONGEST_GAP: Final = 4.0


@dataclass(frozen=True, slots=True)
class Config:
    """`usual`: the clinic's level in points, upwards (`rolling.Config.mu0`); `unit`: a fortieth of the scale."""

    usual: float
    unit: float
    expected_gap_days: float = 7.0


class Ended(NamedTuple):
    """What is known when a session ends, beside what was rated; `None` is not known, for whatever reason.

    `session`: its place among those the client came to. `off_track`: SDs below the expected response
    (`off_track.Reading.below_sds`).
    """

    session: int
    rated: bool
    gap_days: float | None = None
    missed_of_last_three: int | None = None
    next_booked: bool | None = None
    off_track: float | None = None


class Features(NamedTuple):
    """Everything a model may use. Alliance is in fortieths of the scale, so that instruments share one model."""

    session: int
    shortfall: float | None
    """Below what is common in the clinic: its level less 3; 0 above it."""
    fall: float | None
    """Below the client's own usual, earlier ratings shrunk to the clinic's usual; 0 above it."""
    level: float | None
    """The client's own usual, this rating included, above the clinic's."""
    change: float | None
    """Probability that something changed at this session."""
    strain: float | None
    """The largest of those so far, fading by 30 % a rating."""
    unrated: float
    """1 where the form was left empty."""
    missed: float | None
    """Of the last three appointments."""
    late: float | None
    """Expected intervals waited beyond the first, at most 4."""
    unbooked: float | None
    """1 where no next appointment is known."""
    off_track: float | None
    """SDs below the expected response; 0 above it."""


FEATURES: Final = tuple(name for name in Features._fields if name != "session")


class State(NamedTuple):
    """What the ratings so far amount to, and the latest of them: `before` it the client's usual was so many points."""

    ratings: int
    total: float
    strain: float | None
    score: float
    before: float
    change: float | None


def start(config: Config) -> State:
    return State(0, 0.0, None, config.usual, config.usual, None)


def step(config: Config, state: State, score: float, change: float | None) -> State:
    """Take in one rating, and the probability that it brought a change (`rupture.Evidence.probability`)."""
    stands = None if state.strain is None else _STANDS * state.strain
    known = [each for each in (stands, change) if each is not None]
    strain = max(known, default=None)
    return State(state.ratings + 1, state.total + score, strain, score, _own(config, state), change)


def features(config: Config, state: State, ended: Ended) -> Features:
    """What a model may use when a session ends.

    >>> srs = Config(usual=38.0, unit=1.0)
    >>> state = step(srs, step(srs, start(srs), 38.0, None), 31.0, 0.4)
    >>> second = features(srs, state, Ended(2, rated=True, gap_days=14))
    >>> second.session, second.shortfall, second.fall, second.late, second.missed
    (2, 4.0, 7.0, 1.0, None)
    """
    rated = ended.rated
    return Features(
        session=ended.session,
        shortfall=_below(config, config.usual - _FORTIETHS_BELOW * config.unit, state.score) if rated else None,
        fall=_below(config, state.before, state.score) if rated else None,
        level=(_own(config, state) - config.usual) / config.unit if state.ratings else None,
        change=state.change if rated else None,
        strain=state.strain,
        unrated=float(not rated),
        missed=None if ended.missed_of_last_three is None else float(ended.missed_of_last_three),
        late=None if ended.gap_days is None else _late(config, ended.gap_days),
        unbooked=None if ended.next_booked is None else float(not ended.next_booked),
        off_track=None if ended.off_track is None else max(0.0, ended.off_track),
    )


def _own(config: Config, state: State) -> float:
    return (state.total + _USUAL_RATINGS * config.usual) / (state.ratings + _USUAL_RATINGS)


def _below(config: Config, line: float, score: float) -> float:
    return max(0.0, line - score) / config.unit


def _late(config: Config, gap_days: float) -> float:
    return min(max(0.0, gap_days / config.expected_gap_days - 1), _LONGEST_GAP)


# ------------------------------------------------------------------ the model


@dataclass(frozen=True, slots=True)
class Cause:
    """The logit of one kind of end. `first`: `a_1` to `a_6`; then `later + slope ln(t / 7)`; a weight per feature."""

    first: tuple[float, ...]
    later: float
    slope: float
    weights: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Gate:
    """What a model was tried on, and how it did there, out of sample."""

    closed_episodes: int
    auc_low: float
    slope: float
    dropouts: int = 0


@dataclass(frozen=True, slots=True)
class HazardModel:
    """Coefficients as data. `means` and `scales` are of `features`; the card is for people: measure by measure."""

    features: tuple[str, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    dropout: Cause
    other_end: Cause
    gate: Gate
    within_three: tuple[float, float] = (0.0, 1.0)
    """Intercept and slope that make the logit of leaving within three true: until then much may change."""
    line: float = 1.0
    """The chance within three sessions that only few of the clinic's sessions reached: policy speaks of those."""
    card: Mapping[str, Mapping[str, float]] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        """Coefficients that do not fit together are the file's fault, found before anybody is judged by them."""
        wide = {len(each) for each in (self.means, self.scales, self.dropout.weights, self.other_end.weights)}
        if wide != {len(self.features)} or not set(self.features) <= set(FEATURES):
            raise ValueError(f"one mean, scale and weight for each feature, out of: {', '.join(FEATURES)}")
        if min(self.scales, default=1.0) <= 0:
            raise ValueError("scales: above 0")
        if {len(self.dropout.first), len(self.other_end.first)} != {FIRST_SESSIONS}:
            raise ValueError(f"first: one number for each of the first {FIRST_SESSIONS} sessions")


class Hazard(NamedTuple):
    """`next`: that this session was the last one, by dropout; `within_three`: that, or one of the two after it.

    `contributions` sum to the logit of `next`: the session's own first, then each feature, 0 where it is not known.
    """

    next: float
    within_three: float
    contributions: tuple[tuple[str, float], ...]
    reason: str


class Off(NamedTuple):
    """No prediction: why the model may not speak."""

    reasons: tuple[str, ...]


LEAST_EPISODES: Final = 300
LEAST_AUC: Final = 0.6
SLOPES: Final = (0.8, 1.2)


def refusals(gate: Gate) -> tuple[str, ...]:
    """Why a model with these figures may not speak; empty where it may.

    >>> refusals(Gate(closed_episodes=240, auc_low=0.63, slope=1.3))
    ('240 closed episodes, 300 are needed', 'calibration slope 1.30, not within 0.8 to 1.2')
    """
    found = []
    if gate.closed_episodes < LEAST_EPISODES:
        found.append(f"{gate.closed_episodes} closed episodes, {LEAST_EPISODES} are needed")
    if not gate.auc_low > LEAST_AUC:
        found.append(f"AUC may be as low as {gate.auc_low:.2f}, more than {LEAST_AUC} is needed")
    if not SLOPES[0] <= gate.slope <= SLOPES[1]:
        found.append(f"calibration slope {gate.slope:.2f}, not within {SLOPES[0]} to {SLOPES[1]}")
    return tuple(found)


def predict(model: HazardModel, features: Features) -> Hazard | Off:
    """The hazard at the end of a session, or why there is none."""
    shut = refusals(model.gate)
    return Off(shut) if shut else weigh(model, features)


def weigh(model: HazardModel, features: Features) -> Hazard:
    """The hazard, whether the gate is open or not: for the laboratory, never for a clinician."""
    adds, others = (_added(model, cause, features) for cause in (model.dropout, model.other_end))
    first = session_logit(model.dropout, features.session)
    now = _logistic(sum(adds, first))
    parts = tuple(zip(model.features, adds, strict=True))
    return Hazard(
        next=now,
        within_three=max(now, _within(model, features.session, adds, others)),
        contributions=(("session", first), *parts),
        reason=_reason(parts),
    )


def session_logit(cause: Cause, session: int) -> float:
    """`a_t`, in logits."""
    if session <= FIRST_SESSIONS:
        return cause.first[session - 1]
    return cause.later + cause.slope * log(session / (FIRST_SESSIONS + 1))


def _added(model: HazardModel, cause: Cause, features: Features) -> list[float]:
    """What each feature adds to the logit, whatever the session's number; nothing where it is not known."""
    values: list[float | None] = [getattr(features, name) for name in model.features]
    given = zip(values, cause.weights, model.means, model.scales, strict=True)
    return [0.0 if value is None else weight * (value - mean) / scale for value, weight, mean, scale in given]


def _within(model: HazardModel, session: int, adds: list[float], others: list[float]) -> float:
    """Over three sessions with everything but the session's number as it is now; other ends take people away."""
    staying, left = 1.0, 0.0
    for ahead in range(session, session + HORIZON):
        dropout = _logistic(sum(adds, session_logit(model.dropout, ahead)))
        other = _logistic(sum(others, session_logit(model.other_end, ahead)))
        left += staying * dropout
        staying *= (1 - dropout) * (1 - other)
    intercept, slope = model.within_three
    return _logistic(intercept + slope * log(left / (1 - left))) if 0 < left < 1 else left


def _logistic(logit: float) -> float:
    return 1 / (1 + exp(-logit)) if logit >= 0 else exp(logit) / (1 + exp(logit))


_WORDS: Final[Mapping[str, str]] = {
    "shortfall": "a low rating",
    "fall": "a rating below this client's usual",
    "level": "this client's usual level",
    "change": "signs that the alliance has just changed",
    "strain": "earlier signs of a strain",
    "unrated": "a form left empty",
    "missed": "missed appointments",
    "late": "a long gap",
    "unbooked": "no next appointment",
    "off_track": "an outcome below what was expected",
}


def _reason(parts: tuple[tuple[str, float], ...]) -> str:
    """The two features that add most, in words."""
    raising = sorted((each for each in parts if each[1] > 0), key=lambda each: -each[1])[:2]
    return " and ".join(_WORDS[name] for name, _ in raising) or "nothing beyond the session's number"
