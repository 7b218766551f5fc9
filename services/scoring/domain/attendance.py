"""Rank 6: who came, how often, and until when silence is nothing to speak of. A deadline, never a tick."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Final, Literal, NamedTuple

from services.scoring.domain.config import AttendanceConfig
from services.scoring.domain.facts import DAY, RATINGS, Fact, Kind

Outcome = Literal["booked", "cancelled", "missed", "attended"]
_OUTCOMES: Final[dict[Kind, Outcome]] = {
    "session.booked": "booked",
    "session.cancelled": "cancelled",
    "session.missed": "missed",
    "session.attended": "attended",
}
_TELLING: Final = frozenset((*_OUTCOMES, *RATINGS))
_PRECEDENCE: Final[dict[Outcome, int]] = {"booked": 0, "cancelled": 1, "missed": 2, "attended": 3}


class Appointment(NamedTuple):
    """One appointment as it stands now. The field order is the order of care."""

    starts_at: int
    session_id: str
    outcome: Outcome


class Attendance(NamedTuple):
    """Counts and gaps; `None` is not yet known. `appointments` are all of them, oldest first."""

    attended: int
    missed: int
    cancelled: int
    missed_of_last_three: int
    missed_before_third: bool
    last_attended_at: int | None
    median_gap_days: float | None
    next_booking_at: int | None
    appointments: tuple[Appointment, ...]


class Silence(NamedTuple):
    """When an absence becomes worth a word, unless a later fact moves the deadline; `reason` is said then."""

    amber_at: int
    red_at: int
    reason: str


@dataclass(slots=True)
class Diary:
    """Every session's latest state from the records that count. Kept up by session, so that a fact costs its session.

    `times` holds when those of each outcome start, `gaps` the distances between attended ones; all lists are sorted.
    """

    told: dict[str, tuple[Fact, ...]]
    appointments: list[Appointment]
    times: dict[Outcome, list[int]]
    gaps: list[int]

    @classmethod
    def empty(cls) -> Diary:
        return cls({}, [], {outcome: [] for outcome in _PRECEDENCE}, [])

    def copy(self) -> Diary:
        times = {outcome: each.copy() for outcome, each in self.times.items()}
        return Diary(self.told.copy(), self.appointments.copy(), times, self.gaps.copy())

    def replace(self, gone: Fact | None, come: Fact) -> None:
        """A record's latest version takes the place of the one before."""
        for fact in (gone, come):
            if fact is not None and fact.kind in _TELLING:
                self._tell(fact.session, gone, come)

    def _tell(self, session: str, gone: Fact | None, come: Fact) -> None:
        before = self.told.get(session, ())
        kept = tuple([fact for fact in before if fact is not gone and fact is not come])
        facts = (*kept, come) if come.session == session else kept
        self.told[session] = facts
        if (was := _appointment(session, before)) is not None:
            self._drop(was)
        if (now := _appointment(session, facts)) is not None:
            self._add(now)

    def _add(self, appointment: Appointment) -> None:
        insort(self.appointments, appointment)
        if appointment.outcome == "attended":
            for gap, added in _gaps_around(self.times["attended"], appointment.starts_at):
                self._gap(gap, added=added)
        insort(self.times[appointment.outcome], appointment.starts_at)

    def _drop(self, appointment: Appointment) -> None:
        del self.appointments[bisect_left(self.appointments, appointment)]
        times = self.times[appointment.outcome]
        del times[bisect_left(times, appointment.starts_at)]
        if appointment.outcome == "attended":
            for gap, added in _gaps_around(times, appointment.starts_at):
                self._gap(gap, added=not added)

    def _gap(self, gap: int, *, added: bool) -> None:
        if added:
            insort(self.gaps, gap)
        else:
            del self.gaps[bisect_left(self.gaps, gap)]


def diary(facts: Iterable[Fact]) -> Diary:
    """The diary of the facts that count, one of each record, made at once."""
    told: dict[str, tuple[Fact, ...]] = {}
    for fact in facts:
        if fact.kind in _TELLING:
            session = fact.session_id or fact.record_id
            told[session] = (*told[session], fact) if session in told else (fact,)
    made = Diary.empty()
    made.told = told
    found = (_appointment(session, each) for session, each in told.items())
    made.appointments = sorted([each for each in found if each is not None])
    for appointment in made.appointments:
        made.times[appointment.outcome].append(appointment.starts_at)
    made.gaps = sorted(later - earlier for earlier, later in pairwise(made.times["attended"]))
    return made


def read(config: AttendanceConfig, seen: Diary, known_at: int) -> Attendance:
    """The features of an episode's appointments; a booking is next when it starts after `known_at`."""
    attended, booked = seen.times["attended"], seen.times["booked"]
    upcoming = bisect_right(booked, known_at)
    return Attendance(
        attended=len(attended),
        missed=len(seen.times["missed"]),
        cancelled=len(seen.times["cancelled"]),
        missed_of_last_three=sum(outcome == "missed" for outcome in islice(_happened(reversed(seen.appointments)), 3)),
        missed_before_third="missed" in islice(_happened(seen.appointments), config.early_sessions),
        last_attended_at=attended[-1] if attended else None,
        median_gap_days=_median_days(seen.gaps) if len(seen.gaps) >= config.min_gaps else None,
        next_booking_at=booked[upcoming] if upcoming < len(booked) else None,
        appointments=tuple(seen.appointments),
    )


def silence(config: AttendanceConfig, diary: Diary, seen: Attendance) -> Silence | None:
    """The deadlines of an open episode; `None` while nobody has come or stayed away yet.

    They lie after every booking: while one is ahead, there is no silence.
    """
    missed, booked = diary.times["missed"], diary.times["booked"]
    since = seen.last_attended_at if seen.last_attended_at is not None else next(iter(missed), None)
    if since is None:
        return None
    amber = _days(config.amber_days, config.amber_median_gaps, seen.median_gap_days)
    red = _days(config.red_days, config.red_median_gaps, seen.median_gap_days)
    after = booked[-1] + round(config.booking_grace_days * DAY) if booked else 0
    return Silence(max(since + round(amber * DAY), after), max(since + round(red * DAY), after), _reason(amber, seen))


def _appointment(session: str, facts: tuple[Fact, ...]) -> Appointment | None:
    """What became of a session: the latest word counts. Somebody who rated was there."""
    told, word, rated = None, None, None
    for fact in facts:
        outcome = _OUTCOMES.get(fact.kind)
        if outcome is None:
            if fact.kind in RATINGS and (rated is None or fact.occurred_at < rated):
                rated = fact.occurred_at
            continue
        this = (fact.occurred_at, _PRECEDENCE[outcome], fact.fact_id)
        if word is None or this > word:
            word, told = this, Appointment(_starts(fact), session, outcome)
    if rated is None or (told is not None and told.outcome == "attended"):
        return told
    return Appointment(rated, session, "attended")


def _gaps_around(times: list[int], at: int) -> list[tuple[int, bool]]:
    """The gaps that a time among sorted others makes (`True`), and the one that it takes the place of (`False`)."""
    place = bisect_left(times, at)
    before, after = times[place - 1 : place] if place else [], times[place : place + 1]
    made = [(later - earlier, True) for earlier, later in pairwise([*before, at, *after])]
    return [*made, (after[0] - before[0], False)] if before and after else made


def _happened(appointments: Iterable[Appointment]) -> Iterator[Outcome]:
    return (each.outcome for each in appointments if each.outcome in ("attended", "missed"))


def _median_days(gaps: list[int]) -> float:
    middle = len(gaps) // 2
    median = gaps[middle] if len(gaps) % 2 else (gaps[middle - 1] + gaps[middle]) / 2
    return round(median / DAY, 6)


def _days(days: float, median_gaps: float, median_gap: float | None) -> float:
    return days if median_gap is None else max(days, median_gaps * median_gap)


def _reason(amber_days: float, seen: Attendance) -> str:
    usual = "" if seen.median_gap_days is None else f"; this client's usual gap is {seen.median_gap_days:.0f} days"
    came = "no session attended" if seen.last_attended_at is not None else "no session attended since one was missed"
    return f"{came} for {amber_days:.0f} days and none booked{usual}"


def _starts(fact: Fact) -> int:
    return fact.occurred_at if fact.starts_at is None else fact.starts_at
