"""Rupture-repair sequences after Stiles (2004) and Strauss (2006), both reported: 2 SD strict, 1 SD lenient.

The criteria are "ad hoc ... preliminary" and how many are found depends on which is used, so Gumz et al. (2012, BMC
Med Res Methodol 12:10) ask for both, on the stricter of the variation within and between clients. Recalled, not read:
Stiles takes the client's trend out and wants the level back within three sessions; Strauss a return after one SD.

fall    = (previous rating - this one) + trend of the ratings before, per session
sd      = max(SD of the client's own ratings about that trend, the clinic's pooled SD)
opens   when fall >= k * sd;  closes when within 3 sessions three quarters of the fall are made good, else lapses

Strictly the criteria look back on a finished therapy. Here trend and SD know only the ratings before the one tested.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Final, Literal, NamedTuple

from schemas.instruments import Scale

STATE_VERSION = 1
CRITERIA: Final = ("lenient-1sd", "strict-2sd")
Phase = Literal["none", "open", "repaired", "lapsed"]


@dataclass(frozen=True, slots=True)
class Config:
    """`pooled_sd` in points; trend and SD are the client's own from `own_from` ratings on."""

    pooled_sd: float
    lenient_sds: float
    strict_sds: float
    repair_share: float
    window_sessions: int
    own_from: int


class Deflection(NamedTuple):
    """A sequence that is open: the level before, how far it fell, and sessions since."""

    before: float
    fall: float
    sessions: int


class State(NamedTuple):
    """Sums over the ratings, numbered from 0, and the open sequence of either criterion."""

    ratings: int
    total: float
    by_number: float
    squares: float
    last: float | None
    lenient: Deflection | None
    strict: Deflection | None
    version: int = STATE_VERSION


class Sequence(NamedTuple):
    """One criterion's view of this session."""

    criterion: str
    phase: Phase
    before: float | None
    fall: float | None
    sessions: int | None


class Reading(NamedTuple):
    """The fall in SDs (`None` for the first rating), that SD in points, and both criteria."""

    fall_sds: float | None
    sd: float
    lenient: Sequence
    strict: Sequence

    @property
    def reason(self) -> str:
        """In words, of both; put together only where somebody asks."""
        return _reason(self.lenient, self.strict)


def scaled(scale: Scale) -> Config:
    """The constants on a scale: an SD of 2.2 of the SRS's 40 points until the client's own is known.

    >>> from schemas.instruments import lookup
    >>> scaled(lookup("srs@3").total).pooled_sd
    2.2
    """
    return Config(
        pooled_sd=round(0.055 * scale.span, 6),
        lenient_sds=1.0,
        strict_sds=2.0,
        repair_share=0.75,
        window_sessions=3,
        own_from=5,
    )


def start(config: Config) -> State:  # noqa: ARG001 - every module of the domain starts alike
    return State(0, 0.0, 0.0, 0.0, None, None, None)


def step(config: Config, state: State, score: float) -> tuple[State, Reading]:
    """Take in one rating.

    >>> srs = Config(2.2, lenient_sds=1, strict_sds=2, repair_share=0.75, window_sessions=3, own_from=5)
    >>> state = start(srs)
    >>> for score in (38.0, 38.5, 35.0, 38.0):
    ...     state, reading = step(srs, state, score)
    ...     print(reading.lenient.phase, reading.strict.phase, "|", reading.reason)
    none none | no sequence of fall and recovery
    none none | no sequence of fall and recovery
    open none | by 1 SD (lenient) a fall of 3.5 is open
    repaired none | by 1 SD (lenient) a fall of 3.5 was made good after 1 session
    """
    slope, sd = _trend(config, state)
    fall = None if state.last is None else state.last - score + slope
    seen = (fall, sd, state.last, score)
    lenient_open, lenient = _follow(config, CRITERIA[0], config.lenient_sds, state.lenient, seen)
    strict_open, strict = _follow(config, CRITERIA[1], config.strict_sds, state.strict, seen)
    after = State(
        ratings=state.ratings + 1,
        total=state.total + score,
        by_number=state.by_number + state.ratings * score,
        squares=state.squares + score * score,
        last=score,
        lenient=lenient_open,
        strict=strict_open,
    )
    return after, Reading(None if fall is None else fall / sd, sd, lenient, strict)


Seen = tuple[float | None, float, float | None, float]
"""The fall, the SD, the rating before and this one."""


def _follow(
    config: Config, criterion: str, sds: float, held: Deflection | None, seen: Seen
) -> tuple[Deflection | None, Sequence]:
    fall, sd, before, score = seen
    if held is not None:
        return _held(config, criterion, held, score)
    if fall is None or before is None or fall < sds * sd:
        return None, Sequence(criterion, "none", None, None, None)
    return Deflection(before, fall, 0), Sequence(criterion, "open", before, fall, 0)


def _held(config: Config, criterion: str, held: Deflection, score: float) -> tuple[Deflection | None, Sequence]:
    now = held._replace(sessions=held.sessions + 1)
    if score >= held.before - (1 - config.repair_share) * held.fall:
        return None, Sequence(criterion, "repaired", *now)
    if now.sessions >= config.window_sessions:
        return None, Sequence(criterion, "lapsed", *now)
    return now, Sequence(criterion, "open", *now)


def _trend(config: Config, state: State) -> tuple[float, float]:
    """Slope per session and the stricter SD, both of the ratings before; least squares from the sums."""
    n = state.ratings
    if n < config.own_from:
        return 0.0, config.pooled_sd
    middle = (n - 1) / 2
    spread = n * (n * n - 1) / 12
    slope = (state.by_number - middle * state.total) / spread
    left = state.squares - state.total**2 / n - slope * slope * spread
    return slope, max(sqrt(max(left, 0.0) / (n - 2)), config.pooled_sd)


def _reason(lenient: Sequence, strict: Sequence) -> str:
    said = [_words(name, each) for name, each in (("2 SD (strict)", strict), ("1 SD (lenient)", lenient))]
    return "; ".join(filter(None, said)) or "no sequence of fall and recovery"


def _words(name: str, seen: Sequence) -> str:
    if seen.phase == "none" or seen.fall is None or seen.sessions is None:
        return ""
    after = f"{seen.sessions} session{'' if seen.sessions == 1 else 's'}"
    ends = {"open": "is open", "repaired": f"was made good after {after}", "lapsed": f"was not made good in {after}"}
    return f"by {name} a fall of {seen.fall:.1f} {ends[seen.phase]}"
