"""When a client was expected, and whether they came. Assumed rates are said to be so; none is a finding."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from numpy.random import Generator

from services.lab.answers import Package
from services.lab.generator import Course

NO_SHOW: Final = 0.08
BEFORE_DROPOUT: Final = 2.5
"""Times as many no-shows before the last two sessions of those who leave."""
CANCELLED: Final = 0.05
LONGEST_ABSENCE: Final = 3

Outcome = Literal["attended", "missed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Care:
    """One episode as it will go: who with whom, since when, how often."""

    client: str
    episode: str
    clinician: str
    successor: str | None
    """Takes over in the middle, where there is one."""
    package: Package
    course: Course
    intake: float
    """Well-being at the first session, in points of 0 to 40."""
    opened_at: datetime
    every: timedelta


@dataclass(frozen=True, slots=True)
class Visit:
    """One appointment. `session` counts the attended ones from 0; None where nobody came."""

    number: int
    starts_at: datetime
    outcome: Outcome
    session: int | None


def visits(rng: Generator, care: Care) -> list[Visit]:
    """Every appointment of an episode, in order."""
    made: list[Visit] = []
    for session in range(len(care.course.totals)):
        made += [_visit(care, len(made) + late, outcome) for late, outcome in enumerate(_absences(rng, care, session))]
        made.append(_visit(care, len(made), "attended", session))
    if care.course.dropped_out:
        made += [_visit(care, len(made) + late, outcome) for late, outcome in enumerate(_leaving(rng))]
    return made


def _visit(care: Care, number: int, outcome: Outcome, session: int | None = None) -> Visit:
    first = care.opened_at + timedelta(days=7)
    return Visit(number, first + number * care.every, outcome, session)


def _absences(rng: Generator, care: Care, session: int) -> list[Outcome]:
    """What went before this session: mostly nothing."""
    leaving = care.course.dropped_out and session >= len(care.course.totals) - 2
    no_show = NO_SHOW * (BEFORE_DROPOUT if leaving else 1.0)
    absences: list[Outcome] = []
    while len(absences) < LONGEST_ABSENCE and (draw := rng.random()) < no_show + CANCELLED:
        absences.append("missed" if draw < no_show else "cancelled")
    return absences


def _leaving(rng: Generator) -> list[Outcome]:
    return ["missed" if rng.random() < 0.7 else "cancelled" for _ in range(1 + int(rng.random() < 0.5))]
