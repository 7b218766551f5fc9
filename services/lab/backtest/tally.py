"""What policies would have cost a clinic: counted course by course, and added up."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final, NamedTuple

from services.lab.backtest.course import Lived, Session
from services.lab.backtest.labels import CourseLabel, Key
from services.lab.backtest.source import Fault
from services.lab.truth import Case, labelled

EPOCH: Final = date(1970, 1, 1)
EXAMPLES: Final = 6
LONG: Final = 6
"""Sessions from which on a course shows something of how a policy works."""
FAULTS_KEPT: Final = 20
COUNTS: Final = (
    "events", "courses", "closed", "clients", "sessions", "ratings", "refused", "labels_used", "labels_differ",
    "beyond",
)  # fmt: skip


@dataclass(slots=True)
class PolicyTally:
    """One policy's alerts. `by_*`: counts by kind, severity and rule; `flagged`: sessions in which a rule held."""

    alerts: int = 0
    flagged: int = 0
    clients: int = 0
    """With at least one alert."""
    by_kind: Counter[str] = field(default_factory=Counter)
    by_severity: Counter[str] = field(default_factory=Counter)
    by_rule: Counter[str] = field(default_factory=Counter)


class Example(NamedTuple):
    """A course to look at: totals by session, and which policies spoke where. No reference of anybody.

    Those come first on which policies disagree, long ones before short; `drawn` puts them in an order that the parts do
    not change.
    """

    agreed: bool
    short: bool
    drawn: int
    instrument: str
    totals: tuple[float | None, ...]
    spoke: tuple[tuple[int, ...], ...]
    truth: tuple[tuple[int, int], ...]


class Judged(NamedTuple):
    """One labelled course: the truth, and in which sessions each policy spoke."""

    case: Case
    spoke: tuple[tuple[bool, ...], ...]
    dropped_out: bool | None = None
    absent: tuple[bool, ...] = ()
    """Of each policy: whether it said that the client was disengaging."""
    drawn: int = 0
    """Puts courses in an order that the parts do not change, so that resamples draw the same."""
    foretold: tuple[float, ...] = ()
    """At the end of each session: how likely the clinic's hazard held it that the client drops out."""


@dataclass(slots=True)
class Tally:
    """Everything a backtest counts. Adding two gives that of both caseloads."""

    policies: list[PolicyTally]
    events: int = 0
    courses: int = 0
    closed: int = 0
    """Courses of which the record says that they ended."""
    clients: int = 0
    sessions: int = 0
    ratings: int = 0
    weeks: set[tuple[str | None, int]] = field(default_factory=set)
    both: Counter[tuple[int, int]] = field(default_factory=Counter)
    """Sessions in which two policies both spoke."""
    refused: int = 0
    faults: list[Fault] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    judged: list[Judged] = field(default_factory=list)
    labels_used: int = 0
    labels_differ: int = 0
    """Labels whose number of sessions is not that of the record."""
    beyond: int = 0
    """Labelled ruptures that begin after the record's last session: nobody is asked to catch them."""
    examples: list[Example] = field(default_factory=list)
    in_order_of_care: bool = False
    """The lines' own order told nothing, so events were taken by their time in care."""

    @classmethod
    def of(cls, policies: int) -> Tally:
        return cls([PolicyTally() for _ in range(policies)])

    def refuse(self, fault: Fault) -> None:
        self.refused += 1
        self.reasons[f"{fault.pointer or 'the line'}: {fault.expected}"] += 1
        if len(self.faults) < FAULTS_KEPT:
            self.faults.append(fault)

    def take(self, courses: Sequence[Lived], labels: Mapping[Key, CourseLabel]) -> None:
        """One client's courses."""
        self.clients += 1
        for place, policy in enumerate(self.policies):
            policy.clients += any(course.alerts[place] for course in courses)
        whole = labels.get((courses[0].client, None)) if courses else None
        if whole is not None:
            self._judge(courses, whole)
        for course in courses:
            self._count(course)
            label = labels.get((course.client, course.episode))
            self._show(course, label or whole)
            if label is not None and course.episode is not None:
                self._judge([course], label)

    def _count(self, course: Lived) -> None:
        self.courses += 1
        self.closed += course.closed
        self.sessions += len(course.sessions)
        self.ratings += course.ratings
        self.weeks |= course.clinicians
        for place, policy in enumerate(self.policies):
            for alert in course.alerts[place].values():
                policy.alerts += 1
                policy.by_kind[alert.kind] += 1
                policy.by_severity[alert.severity] += 1
                policy.by_rule[alert.rule] += 1
        for session in course.sessions:
            spoke = [place for place, rule in enumerate(session.spoke) if rule]
            for place in spoke:
                self.policies[place].flagged += 1
                self.both.update((place, other) for other in spoke)

    def _judge(self, courses: Sequence[Lived], label: CourseLabel) -> None:
        sessions = sorted((each for course in courses for each in course.sessions), key=lambda each: each.at)
        self.labels_used += 1
        self.labels_differ += label.sessions is not None and label.sessions != len(sessions)
        known = label.within(_days(sessions))
        self.beyond += len(label.ruptures) - len(known)
        if not sessions:
            return
        drawn = _drawn(label.client, label.episode)
        spoke = tuple(
            tuple([each.spoke[place] is not None for each in sessions]) for place in range(len(self.policies))
        )
        absent = tuple(
            any(alert.kind == "disengaging" for course in courses for alert in course.alerts[place].values())
            for place in range(len(self.policies))
        )
        foretold = courses[0].foretold if len(courses) == 1 else ()
        self.judged.append(Judged(labelled(len(sessions), known), spoke, label.dropped_out, absent, drawn, foretold))

    def _show(self, course: Lived, label: CourseLabel | None) -> None:
        """Keep a course to look at, if it is among the first."""
        if not any(any(each.spoke) for each in course.sessions):
            return
        agreed = all(len(set(map(bool, each.spoke))) == 1 for each in course.sessions)
        drawn = _drawn(course.client, course.episode)
        short = len(course.sessions) < LONG
        if len(self.examples) == EXAMPLES and (agreed, short, drawn) >= self.examples[-1][:3]:
            return
        spoke = tuple(
            tuple([at for at, each in enumerate(course.sessions, start=1) if each.spoke[place]])
            for place in range(len(self.policies))
        )
        truth = tuple((each.onset, each.end) for each in label.within(_days(course.sessions))) if label else ()
        totals = tuple([each.total for each in course.sessions])
        found = Example(agreed, short, drawn, course.sessions[0].instrument, totals, spoke, truth)
        self.examples = _first([*self.examples, found])

    def add(self, other: Tally) -> None:
        """Those of another part of the caseload."""
        for ours, theirs in zip(self.policies, other.policies, strict=True):
            for name in ("alerts", "flagged", "clients"):
                setattr(ours, name, getattr(ours, name) + getattr(theirs, name))
            for name in ("by_kind", "by_severity", "by_rule"):
                getattr(ours, name).update(getattr(theirs, name))
        for name in COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.weeks |= other.weeks
        self.both.update(other.both)
        self.reasons.update(other.reasons)
        self.faults = sorted([*self.faults, *other.faults])[:FAULTS_KEPT]
        self.judged += other.judged
        self.examples = _first([*self.examples, *other.examples])


def _days(sessions: Sequence[Session]) -> list[date]:
    """When each was, in UTC."""
    return [EPOCH + timedelta(microseconds=each.at) for each in sessions]


def _drawn(client: str, episode: str | None) -> int:
    return zlib.crc32(f"{client}|{episode}".encode())


def _first(examples: list[Example]) -> list[Example]:
    return sorted(examples, key=lambda each: (each.agreed, each.short, each.drawn))[:EXAMPLES]
