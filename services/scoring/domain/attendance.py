"""Rank 6: who came, how often, and until when silence is nothing to speak of. A deadline, never a tick."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from statistics import median
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
_PRECEDENCE: Final = {"booked": 0, "cancelled": 1, "missed": 2, "attended": 3}


class Appointment(NamedTuple):
    """One appointment as it stands now. A tuple, because a snapshot makes all of an episode's each time."""

    session_id: str
    starts_at: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Attendance:
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


@dataclass(frozen=True, slots=True)
class Silence:
    """When an absence becomes worth a word, unless a later fact moves the deadline; `reason` is said then."""

    amber_at: int
    red_at: int
    reason: str


def appointments(facts: Iterable[Fact]) -> tuple[Appointment, ...]:
    """Every session's latest state from the records that count now. Somebody who rated was there."""
    told: dict[str, tuple[tuple[int, int, str], Appointment]] = {}
    rated: dict[str, int] = {}
    for fact in facts:
        if fact.kind in RATINGS:
            rated[fact.session] = min(fact.occurred_at, rated.get(fact.session, fact.occurred_at))
        elif (outcome := _OUTCOMES.get(fact.kind)) is not None:
            _tell(told, fact, outcome)
    merged = {session: appointment for session, (_, appointment) in told.items()}
    for session, at in rated.items():
        if session not in merged or merged[session].outcome != "attended":
            merged[session] = Appointment(session, at, "attended")
    return tuple(sorted(merged.values(), key=attrgetter("starts_at", "session_id")))


def read(config: AttendanceConfig, sessions: tuple[Appointment, ...], known_at: int) -> Attendance:
    """The features of an episode's appointments; a booking is next when it starts after `known_at`."""
    attended = [each.starts_at for each in sessions if each.outcome == "attended"]
    happened = [each.outcome for each in sessions if each.outcome in ("attended", "missed")]
    gaps = [(later - earlier) / DAY for earlier, later in pairwise(attended)]
    return Attendance(
        attended=len(attended),
        missed=happened.count("missed"),
        cancelled=sum(each.outcome == "cancelled" for each in sessions),
        missed_of_last_three=happened[-3:].count("missed"),
        missed_before_third=_missed_early(happened, config.early_sessions),
        last_attended_at=attended[-1] if attended else None,
        median_gap_days=round(median(gaps), 6) if len(gaps) >= config.min_gaps else None,
        next_booking_at=next(
            (each.starts_at for each in sessions if each.outcome == "booked" and each.starts_at > known_at), None
        ),
        appointments=sessions,
    )


def silence(config: AttendanceConfig, seen: Attendance) -> Silence | None:
    """The deadlines of an open episode; `None` while nobody has come or stayed away yet.

    They lie after every booking: while one is ahead, there is no silence.
    """
    since = seen.last_attended_at if seen.last_attended_at is not None else _first_missed(seen)
    if since is None:
        return None
    amber = _days(config.amber_days, config.amber_median_gaps, seen.median_gap_days)
    red = _days(config.red_days, config.red_median_gaps, seen.median_gap_days)
    booked = _after_bookings(config, seen)
    return Silence(max(since + round(amber * DAY), booked), max(since + round(red * DAY), booked), _reason(amber, seen))


def _tell(told: dict[str, tuple[tuple[int, int, str], Appointment]], fact: Fact, outcome: Outcome) -> None:
    """The later word counts; of words at one time, the one that says more."""
    rank = (fact.occurred_at, _PRECEDENCE[outcome], fact.fact_id)
    held = told.get(fact.session)
    if held is None or rank > held[0]:
        start = fact.occurred_at if fact.starts_at is None else fact.starts_at
        told[fact.session] = (rank, Appointment(fact.session, start, outcome))


def _missed_early(happened: Iterable[Outcome], early_sessions: int) -> bool:
    """Whether one was missed before the client came for the third time."""
    came = 0
    for outcome in happened:
        if outcome == "missed" and came < early_sessions:
            return True
        came += outcome == "attended"
    return False


def _first_missed(seen: Attendance) -> int | None:
    return next((each.starts_at for each in seen.appointments if each.outcome == "missed"), None)


def _days(days: float, median_gaps: float, median_gap: float | None) -> float:
    return days if median_gap is None else max(days, median_gaps * median_gap)


def _after_bookings(config: AttendanceConfig, seen: Attendance) -> int:
    booked = [each.starts_at for each in seen.appointments if each.outcome == "booked"]
    return max(booked) + round(config.booking_grace_days * DAY) if booked else 0


def _reason(amber_days: float, seen: Attendance) -> str:
    usual = "" if seen.median_gap_days is None else f"; this client's usual gap is {seen.median_gap_days:.0f} days"
    came = "no session attended" if seen.last_attended_at is not None else "no session attended since one was missed"
    return f"{came} for {amber_days:.0f} days and none booked{usual}"
