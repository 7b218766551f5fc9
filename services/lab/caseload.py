"""A year of an invented clinic, as its EHR would post it. Simulation, never clinical evidence.

The alliance is `services.lab.generator`'s; what surrounds it (attendance, outcome, corrections, who works with whom) is
assumed. The same seed and end give the same events, bit for bit. References are numbers; nobody has a name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.random import Generator

from services.lab.answers import PACKAGES, Package
from services.lab.generator import Course, simulate
from services.lab.records import Event, Recorded, Scribe
from services.lab.visits import Care

TRANSFERRED_SHARE: Final = 0.04
RETURNING_SHARE: Final = 0.08
BIWEEKLY_SHARE: Final = 0.25


@dataclass(frozen=True, slots=True)
class Clinic:
    """How large, how long, and how often its system exports what it knows (`tick`)."""

    clients: int = 600
    clinicians: int = 40
    weeks: int = 52
    tick: timedelta = timedelta(hours=4)


@dataclass(frozen=True, slots=True)
class Post:
    """One event and the feed's clock when it is posted."""

    clock: datetime
    event: Event


@dataclass(frozen=True, slots=True)
class Label:
    """The truth behind one episode, per attended session; never posted. `repaired`: the first session after one."""

    client: str
    episode: str
    onset: tuple[bool, ...]
    active: tuple[bool, ...]
    expressed: tuple[bool, ...]
    repaired: tuple[bool, ...]
    dropped_out: bool


@dataclass(frozen=True, slots=True)
class Caseload:
    """Posts in the order of the feed's clock, and what only the lab knows."""

    posts: tuple[Post, ...]
    labels: tuple[Label, ...]


SMALL_CLINIC: Final = Clinic()


class _Arrival(NamedTuple):
    client: str
    time: int
    """1 for the first episode."""
    at: datetime


def caseload(seed: int, ends_at: datetime, clinic: Clinic = SMALL_CLINIC) -> Caseload:
    """Everything that the clinic knew by `ends_at`, over the weeks before it.

    >>> from datetime import UTC
    >>> year = caseload(7, datetime(2026, 1, 5, tzinfo=UTC), Clinic(clients=3, clinicians=2, weeks=10))
    >>> year.posts[0].event["type"], len(year.labels)
    ('episode.opened', 3)
    """
    rng = np.random.default_rng([seed, 1])
    cares = list(_cares(rng, seed, ends_at, clinic))
    known = [record for care in cares for record in Scribe(rng, care).write() if record.at <= ends_at]
    known.sort(key=lambda record: (record.at, str(record.event["id"])))
    posts = tuple(Post(_tick(record, ends_at, clinic), record.event) for record in known)
    return Caseload(posts, tuple(label(care) for care in cares))


def label(care: Care) -> Label:
    """What the simulation knows of one episode."""
    active = care.course.ruptured
    repaired = tuple(before and not now for before, now in zip((False, *active), active, strict=False))
    return Label(
        client=care.client,
        episode=care.episode,
        onset=care.course.onset,
        active=active,
        expressed=care.course.expressed,
        repaired=repaired,
        dropped_out=care.course.dropped_out,
    )


def _cares(rng: Generator, seed: int, ends_at: datetime, clinic: Clinic) -> Iterator[Care]:
    courses = iter(simulate(seed, 2 * clinic.clients))
    begins = ends_at - timedelta(weeks=clinic.weeks)
    for number in range(1, clinic.clients + 1):
        client = f"C-{number:04d}"
        first = _care(rng, _Arrival(client, 1, _weekday(rng, begins, ends_at)), next(courses), clinic)
        yield first
        again = next(courses)
        if rng.random() < RETURNING_SHARE:
            pause = first.every * (2 * len(first.course.totals) + 4) + timedelta(days=75)
            if (returns := _weekday(rng, first.opened_at + pause, ends_at)) < ends_at:
                yield _care(rng, _Arrival(client, 2, returns), again, clinic)


def _care(rng: Generator, arrival: _Arrival, course: Course, clinic: Clinic) -> Care:
    who = int(rng.integers(clinic.clinicians))
    group = _package(who, clinic)
    alike = _alike(clinic)[group.alliance]
    moves = len(alike) > 1 and len(course.totals) >= 6 and rng.random() < TRANSFERRED_SHARE
    return Care(
        client=arrival.client,
        episode=f"E-{arrival.client[2:]}-{arrival.time}",
        clinician=_clinician(who),
        successor=_clinician(int(rng.choice([other for other in alike if other != who]))) if moves else None,
        package=group,
        course=course,
        intake=float(np.clip(19 + 8 * rng.standard_normal(), 3, 38)),
        opened_at=arrival.at,
        every=timedelta(days=14 if rng.random() < BIWEEKLY_SHARE else 7),
    )


def _clinician(number: int) -> str:
    return f"T-{number + 1:02d}"


@lru_cache(maxsize=8)
def _alike(clinic: Clinic) -> dict[str, list[int]]:
    """Who uses the same forms, by the alliance's: who may take over from whom."""
    alike: dict[str, list[int]] = {}
    for who in range(clinic.clinicians):
        alike.setdefault(_package(who, clinic).alliance, []).append(who)
    return alike


def _package(clinician: int, clinic: Clinic) -> Package:
    """Clinicians of one group use the same forms: the first half SRS, then a quarter each."""
    place, reached = (clinician + 0.5) / clinic.clinicians, 0.0
    for package in PACKAGES:
        reached += package.share
        if place < reached:
            return package
    return PACKAGES[-1]


def _weekday(rng: Generator, earliest: datetime, latest: datetime) -> datetime:
    """A full hour of a working day. Where there is no time left, `earliest` or after."""
    days = max(1, (latest - earliest).days - 3)
    day = (earliest + timedelta(days=int(rng.integers(days)))).replace(minute=0, second=0, microsecond=0)
    day += timedelta(days=max(0, 7 - day.weekday()) if day.weekday() > 4 else 0)
    return day.replace(hour=int(rng.integers(8, 18)))


def _tick(record: Recorded, ends_at: datetime, clinic: Clinic) -> datetime:
    """The first export at or after the record; the last one is at the end."""
    ticks = -((ends_at - record.at) // clinic.tick)
    return ends_at + ticks * clinic.tick
