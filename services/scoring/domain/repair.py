"""Rupture and repair as a state machine: what has become of a strain since it was seen, each step with its reason.

A strain opens with the level before it, `m0`, and its fall `D`. A rating is *near* when it is at least
`m0 - max(margin, .25 D)`, the margin being 2 points of 40. One near rating is a provisional repair, two in a row a
repair; three rated sessions in a row without one leave it unrepaired (a later return is still told). 28 days without a
session end it as dropped: silence is a deadline (`lapses_at`), never a tick, and nothing is closed without being told.
Domain brief 2(h); the constants are ours, the direction is the literature's (unrepaired strains go with worse outcome).

Whether a strain has opened is the caller's to say: this module does not detect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from schemas.instruments import Scale
from services.scoring.domain.facts import DAY

STATE_VERSION = 1
Phase = Literal["none", "open", "provisionally-repaired", "repaired", "unrepaired", "dropped"]
TRANSITIONS: Final[Mapping[Phase, tuple[Phase, ...]]] = {
    "none": ("open",),
    "open": ("provisionally-repaired", "unrepaired", "dropped"),
    "provisionally-repaired": ("repaired", "open", "dropped"),
    "repaired": ("open",),
    "unrepaired": ("provisionally-repaired", "open", "dropped"),
    "dropped": ("open",),
}
"""All there are: tests/property/test_repair_laws.py holds every course to this table."""
UNSETTLED: Final[tuple[Phase, ...]] = ("open", "provisionally-repaired", "unrepaired")


@dataclass(frozen=True, slots=True)
class Config:
    """`margin` in points; sessions are rated ones."""

    margin: float
    fall_share: float
    confirm_sessions: int
    window_sessions: int
    silent_days: float


class Strain(NamedTuple):
    """What opens: the level before and how far below it this session was rated, in points."""

    before: float
    fall: float


class Session(NamedTuple):
    """A session that took place, in care's time (microseconds); `score` is `None` where it was not rated."""

    at: int
    score: float | None
    strain: Strain | None = None


class State(NamedTuple):
    """`near` and `away` count rated sessions in a row since the strain opened or opened again."""

    phase: Phase
    before: float
    fall: float
    sessions: int
    near: int
    away: int
    last_at: int
    version: int = STATE_VERSION


class Transition(NamedTuple):
    """One step, in words that a clinician reads."""

    before: Phase
    after: Phase
    reason: str


class Reading(NamedTuple):
    """Where it stands; `target` is the score that counts as near, `sessions` how many were rated since it opened."""

    phase: Phase
    transitions: tuple[Transition, ...]
    before: float | None
    fall: float | None
    target: float | None
    sessions: int
    lapses_at: int | None

    @property
    def reason(self) -> str:
        """The latest step's, or that there was none."""
        return self.transitions[-1].reason if self.transitions else "as it was"


def scaled(scale: Scale) -> Config:
    """The constants on a scale: the margin is a twentieth of the span.

    >>> from schemas.instruments import lookup
    >>> scaled(lookup("srs@3").total)
    Config(margin=2.0, fall_share=0.25, confirm_sessions=2, window_sessions=3, silent_days=28.0)
    """
    return Config(round(0.05 * scale.span, 6), 0.25, confirm_sessions=2, window_sessions=3, silent_days=28.0)


def start(config: Config) -> State:  # noqa: ARG001 - every module of the domain starts alike
    return State("none", 0.0, 0.0, 0, 0, 0, 0)


def step(config: Config, state: State, session: Session) -> tuple[State, Reading]:
    """Take in one session.

    >>> srs = Config(margin=2.0, fall_share=0.25, confirm_sessions=2, window_sessions=3, silent_days=28)
    >>> state, opened = step(srs, start(srs), Session(0, 31.0, Strain(before=38.0, fall=7.0)))
    >>> opened.target, opened.reason
    (36.0, '7.0 below the level before')
    >>> state, first = step(srs, state, Session(7 * DAY, 36.5))
    >>> state, second = step(srs, state, Session(14 * DAY, 37.0))
    >>> first.phase, second.phase, second.reason
    ('provisionally-repaired', 'repaired', 'near the level before in 2 rated sessions in a row')
    """
    state, told = _silence(config, state, session.at)
    state, told = _returned(state, told, session)
    held = state._replace(last_at=session.at)
    after, steps = _rated(config, held, session.score, session.strain) if session.score is not None else (held, ())
    return after, _reading(config, after, (*told, *steps))


def lapse(config: Config, state: State, at: int) -> tuple[State, Reading]:
    """What has become of it by a time, no session having been held since.

    >>> srs = Config(margin=2.0, fall_share=0.25, confirm_sessions=2, window_sessions=3, silent_days=28)
    >>> state, _ = step(srs, start(srs), Session(0, 31.0, Strain(38.0, 7.0)))
    >>> lapse(srs, state, 28 * DAY)[1].phase, lapse(srs, state, 28 * DAY + 1)[1].reason
    ('open', 'no session for 28 days')
    """
    after, told = _silence(config, state, at)
    return after, _reading(config, after, told)


def target_of(config: Config, state: State) -> float:
    """From which score on a rating is near the level before."""
    return state.before - max(config.margin, config.fall_share * state.fall)


Steps = tuple[Transition, ...]


def _silence(config: Config, state: State, at: int) -> tuple[State, Steps]:
    if state.phase not in UNSETTLED or at <= _deadline(config, state):
        return state, ()
    return _move(state, "dropped", f"no session for {config.silent_days:g} days")


def _returned(state: State, told: Steps, session: Session) -> tuple[State, Steps]:
    if state.phase != "dropped":
        return state, told
    days = round((session.at - state.last_at) / DAY)
    back, steps = _move(state, "open", f"back after {days} days")
    return back._replace(near=0, away=0), (*told, *steps)


def _rated(config: Config, state: State, score: float, strain: Strain | None) -> tuple[State, Steps]:
    if strain is not None and state.phase in ("none", "repaired", "unrepaired"):
        return _opened(state, strain)
    if state.phase not in UNSETTLED:
        return state, ()
    counted = state._replace(sessions=state.sessions + 1)
    return _near(config, counted) if score >= target_of(config, state) else _away(config, counted, score)


def _opened(state: State, strain: Strain) -> tuple[State, Steps]:
    opened, told = _move(state, "open", f"{strain.fall:.1f} below the level before")
    return opened._replace(before=strain.before, fall=strain.fall, sessions=0, near=0, away=0), told


def _near(config: Config, state: State) -> tuple[State, Steps]:
    near = state._replace(near=state.near + 1, away=0)
    told: Steps = ()
    if near.phase != "provisionally-repaired":
        late = ", later than expected" if near.phase == "unrepaired" else ""
        near, told = _move(near, "provisionally-repaired", f"near the level before again{late}")
    if near.near < config.confirm_sessions:
        return near, told
    confirmed, last = _move(near, "repaired", f"near the level before in {near.near} rated sessions in a row")
    return confirmed, (*told, *last)


def _away(config: Config, state: State, score: float) -> tuple[State, Steps]:
    if state.phase == "provisionally-repaired":
        again, told = _move(state, "open", f"{state.before - score:.1f} below the level before again")
        return again._replace(near=0, away=0), told
    away = state._replace(near=0, away=state.away + 1)
    if away.phase == "open" and away.away >= config.window_sessions:
        return _move(away, "unrepaired", f"not near the level before in {away.away} rated sessions")
    return away, ()


def _move(state: State, after: Phase, reason: str) -> tuple[State, Steps]:
    return state._replace(phase=after), (Transition(state.phase, after, reason),)


def _deadline(config: Config, state: State) -> int:
    return state.last_at + round(config.silent_days * DAY)


def _reading(config: Config, state: State, told: Steps) -> Reading:
    if state.phase == "none":
        return Reading("none", told, None, None, None, 0, None)
    deadline = _deadline(config, state) if state.phase in UNSETTLED else None
    return Reading(state.phase, told, state.before, state.fall, target_of(config, state), state.sessions, deadline)
