"""How soon a repair is noticed: the engine's own state machine, opened by a rule's flags.

Asked of caught ruptures that really end while the therapy goes on. The machine is *early* when it says "provisionally
repaired" (or "repaired") while the rupture is active, it notices *at once* when it says so at the first session after,
and it has *confirmed* when it says "repaired" within three. The level before is the mean of the earlier ratings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from schemas.instruments.srs_ors import SRS
from services.lab.bootstrap import Draws, Interval, interval, weigh
from services.lab.population import Course, Marks
from services.lab.rules import Rule
from services.lab.truth import Rupture, case
from services.scoring.domain import repair
from services.scoring.domain.facts import DAY

_WEEK: Final = 7 * DAY
_NEAR: Final = frozenset({"provisionally-repaired", "repaired"})
_SOON: Final = 3


class Followed(NamedTuple):
    """How many of one client's caught ruptures ended, and of how many it was said."""

    ended: int = 0
    early: int = 0
    at_once: int = 0
    confirmed: int = 0


class Noticed(NamedTuple):
    """Shares of the caught ruptures that ended."""

    ended: int
    early: Interval
    at_once: Interval
    confirmed: Interval


def noticed(followed: Sequence[Followed], draws: Draws) -> Noticed:
    """Shares with their bootstrap intervals by client."""
    counts = weigh(draws, np.array(followed, np.float64))
    with np.errstate(invalid="ignore"):
        early, at_once, confirmed = (interval(counts[:, column] / counts[:, 0]) for column in (1, 2, 3))
    return Noticed(int(counts[0, 0]), early, at_once, confirmed)


def follow(rule: Rule, threshold: float, courses: Sequence[Course]) -> list[Followed]:
    """For each client, rated with the SRS."""
    config = repair.scaled(SRS.total)
    return [_client(config, course, rule.evidence(course) > threshold) for course in courses]


def _client(config: repair.Config, course: Course, flags: Marks) -> Followed:
    caught = [each for each in case(course).ruptures if flags[each.onset : each.last + 1].any()]
    ended = [(each, each.repaired_at) for each in caught if each.repaired_at is not None]
    if not ended:
        return Followed()
    phases = list(_phases(config, course, flags))
    return Followed(
        ended=len(ended),
        early=sum(not _NEAR.isdisjoint(_after_flag(phases, flags, each, at)) for each, at in ended),
        at_once=sum(phases[at] in _NEAR for _, at in ended),
        confirmed=sum("repaired" in phases[at : at + _SOON] for _, at in ended),
    )


def _after_flag(phases: Sequence[repair.Phase], flags: Marks, rupture: Rupture, ends: int) -> Sequence[repair.Phase]:
    first = rupture.onset + int(flags[rupture.onset : rupture.last + 1].argmax())
    return phases[first + 1 : ends]


def _phases(config: repair.Config, course: Course, flags: Marks) -> Iterator[repair.Phase]:
    """What the machine says at every session, one a week; a flag opens it with the mean of the ratings before."""
    state = repair.start(config)
    for at, total in enumerate(course.totals):
        strain = None
        if flags[at] and at:
            before = sum(course.totals[:at]) / at
            strain = repair.Strain(before, max(before - total, 0.0))
        state, reading = repair.step(config, state, repair.Session(at * _WEEK, total, strain))
        yield reading.phase
