"""Sudden losses: the criteria of Tang & DeRubeis (1999) turned round. Retrospective: two or three ratings must follow.

Between two neighbouring ratings, a loss is sudden when

1. it is at least `cutoff` points (a reliable change),
2. it is at least a quarter of the rating before it, counted from the end of the scale where 0 lies,
3. the three ratings after are worse than the three before by more than `t` pooled SDs; with one of the six missing `t`
   is 3.182 instead of 2.776, with two 4.303 (two of each three have to be there).

suddengains (identify_sl.R, also at e964e74) tests `pre - post <= .25 pre` for the second: true of every loss, so that
it excludes nothing. Here it is tested on the size of the loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final, Literal, NamedTuple

STATE_VERSION = 1
_SIDE: Final = 3
_T: Final = {4: 2.776, 3: 3.182, 2: 4.303}
"""Two-sided 5 % points of Student's t by degrees of freedom, as the criteria print them."""
Missing = float | None


@dataclass(frozen=True, slots=True)
class Config:
    """Points; `worse` is the way in which this scale gets worse, `zero` the end from which shares are counted."""

    cutoff: float
    share: float
    worse: Literal["down", "up"]
    zero: float


class State(NamedTuple):
    """The latest six sessions, rated or not, the newest last."""

    recent: tuple[Missing, ...]
    version: int = STATE_VERSION


class Loss(NamedTuple):
    """A candidate: `sessions_ago` is when the first low rating was given (0 = this session)."""

    sessions_ago: int
    points: float
    large: bool
    share_reached: bool
    stable: bool | None

    @property
    def sudden(self) -> bool | None:
        """All three; `None` where the third cannot be told for want of ratings."""
        if self.stable is None:
            return None
        return self.large and self.share_reached and self.stable


class Reading(NamedTuple):
    """`confirmed` has three sessions after the loss, `provisional` has two and may change with the next."""

    confirmed: Loss | None
    provisional: Loss | None
    reason: str


def start(config: Config) -> State:  # noqa: ARG001 - every module of the domain starts alike
    return State(())


def step(config: Config, state: State, score: Missing) -> tuple[State, Reading]:
    """Take in one session; what is told is about two sessions ago, and one.

    >>> srs = Config(cutoff=5.0, share=0.25, worse="down", zero=0.0)
    >>> state = start(srs)
    >>> for score in (38.0, 37.5, 38.5, 24.0, 25.0, 24.5):
    ...     state, reading = step(srs, state, score)
    >>> reading.confirmed.points, reading.confirmed.sessions_ago, reading.confirmed.sudden
    (14.5, 2, True)
    >>> reading.reason
    'sudden loss of 14.5 points 2 sessions ago, and it has lasted'
    """
    recent = (*state.recent, score)[-2 * _SIDE :]
    confirmed = _between(config, recent[:-_SIDE], recent[-_SIDE:])
    provisional = _between(config, recent[:-2][-_SIDE:], recent[-2:])
    return State(recent), Reading(confirmed, provisional, _reason(confirmed, provisional))


def losses(config: Config, scores: Sequence[Missing]) -> tuple[int, ...]:
    """All sudden losses of a finished course: after which session each came, counted from 1.

    >>> bdi = Config(cutoff=7.0, share=0.25, worse="up", zero=0.0)
    >>> losses(bdi, (10, 11, 12, 30, 28, 33))
    (3,)
    """
    places = range(2, len(scores) - 1)
    found = [(place, _between(config, scores[:place][-_SIDE:], scores[place:][:_SIDE])) for place in places]
    return tuple([place for place, loss in found if loss is not None and loss.sudden])


def _between(config: Config, pre: Sequence[Missing], post: Sequence[Missing]) -> Loss | None:
    """The change from the last before to the first after; `None` where either is missing or there is no loss."""
    if len(pre) < 2 or len(post) < 2 or pre[-1] is None or post[0] is None:
        return None
    points = _worse(config, pre[-1], post[0])
    if points <= 0:
        return None
    large = points >= config.cutoff
    share_reached = points >= config.share * abs(pre[-1] - config.zero)
    return Loss(len(post) - 1, points, large, share_reached, _stable(config, pre, post))


def _worse(config: Config, before: float, after: float) -> float:
    return before - after if config.worse == "down" else after - before


def _stable(config: Config, pre: Sequence[Missing], post: Sequence[Missing]) -> bool | None:
    before = [score for score in pre if score is not None]
    after = [score for score in post if score is not None]
    if len(before) < 2 or len(after) < 2:
        return None
    freedom = len(before) + len(after) - 2
    (mean_before, spread_before), (mean_after, spread_after) = _moments(before), _moments(after)
    pooled = sqrt((spread_before + spread_after) / freedom)
    return _worse(config, mean_before, mean_after) > _T[freedom] * pooled


def _moments(scores: Sequence[float]) -> tuple[float, float]:
    """Mean and sum of squares about it; `statistics` counts in fractions, at twenty times the cost."""
    mean = sum(scores) / len(scores)
    return mean, sum((score - mean) ** 2 for score in scores)


def _reason(confirmed: Loss | None, provisional: Loss | None) -> str:
    if confirmed and confirmed.sudden:
        return f"sudden loss of {confirmed.points:.1f} points 2 sessions ago, and it has lasted"
    if provisional and provisional.sudden:
        return f"sudden loss of {provisional.points:.1f} points 1 session ago; one more rating will tell"
    return "no sudden loss in the sessions before"
