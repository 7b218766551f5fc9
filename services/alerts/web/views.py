"""From records to what a template prints: pure, so that wording and order can be tested without a browser."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from schemas.events import EpisodeSnapshot, Reading
from services.alerts.web.chart import Series, expected_band, expected_index, series
from services.alerts.web.records import Alert, Case
from services.alerts.web.sparkline import Mark, Spark, spark
from services.alerts.web.words import Tone, ago, count, day, number, quality_words, title, tone

SPARK_SESSIONS = 16
APART_SDS = 1.5
"""From so many SDs on, within three sessions, two views have moved apart (rank 9, for information)."""
UNKNOWN_REFERENCE = "reference not available"


@dataclass(frozen=True, slots=True)
class Lead:
    """The alert a row leads with."""

    tone: Tone
    title: str
    reason: str
    acknowledged: bool
    more: int


@dataclass(frozen=True, slots=True)
class CaseloadRow:
    """One client in the caseload."""

    client_id: UUID
    reference: str
    owner: str | None
    lead: Lead | None
    in_care: bool
    attended: str
    attended_ago: str
    next_booking: str | None
    spark: Spark | None
    spark_text: str


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One rating in the table below the chart."""

    number: int
    date: str
    rating: str
    level: str
    expected: str
    notes: tuple[str, ...]
    tones: tuple[Tone, ...]


@dataclass(frozen=True, slots=True)
class Visit:
    """One appointment in the attendance strip."""

    outcome: str
    text: str


def caseload_row(case: Case, references: Mapping[UUID, str], *, now: datetime, show_owner: bool) -> CaseloadRow:
    snapshot = case.snapshot
    attendance = snapshot.attendance
    last, upcoming = attendance.last_attended_at, next_booking(snapshot, now)
    drawn = next(iter(series(case.readings)), None)
    return CaseloadRow(
        client_id=snapshot.client_id,
        reference=references.get(snapshot.client_id, UNKNOWN_REFERENCE),
        owner=references.get(snapshot.owner_id) if show_owner and snapshot.owner_id else None,
        lead=lead(case.alerts),
        in_care=snapshot.status == "open",
        attended=day(last) if last else "no session yet",
        attended_ago=ago(last, now) if last else "",
        next_booking=day(upcoming) if upcoming else None,
        spark=spark(_marks(drawn)) if drawn else None,
        spark_text=spark_text(drawn),
    )


def lead(alerts: Iterable[Alert]) -> Lead | None:
    """The most urgent alert that still waits: unseen before seen, then by tone, then the newest."""
    standing = sorted((alert for alert in alerts if alert.standing), key=urgency)
    if not standing:
        return None
    first = standing[-1]
    return Lead(
        tone=tone(first.kind, first.severity),
        title=title(first.kind),
        reason=first.reason,
        acknowledged=first.state == "acknowledged",
        more=len(standing) - 1,
    )


def next_booking(snapshot: EpisodeSnapshot, now: datetime) -> datetime | None:
    """The next booking, unless it has passed since scoring last looked."""
    at = snapshot.attendance.next_booking_at
    return at if at is not None and at >= now else None


def session_rows(drawn: Series, alerts: Sequence[Alert]) -> list[SessionRow]:
    """The chart as a table, newest first."""
    return [_session_row(reading, alerts) for reading in reversed(drawn.readings)]


def visits(snapshot: EpisodeSnapshot) -> list[Visit]:
    return [Visit(visit.outcome, f"{visit.outcome}, {day(visit.starts_at)}") for visit in snapshot.attendance.recent]


def attendance_text(snapshot: EpisodeSnapshot) -> str:
    """Counts first, then the usual rhythm."""
    attendance = snapshot.attendance
    parts = [count(attendance.attended, "session") + " attended"]
    parts += [f"{attendance.missed} missed"] if attendance.missed else []
    parts += [f"{attendance.cancelled} cancelled"] if attendance.cancelled else []
    if attendance.median_gap_days is not None:
        parts.append(f"usually {number(attendance.median_gap_days)} days apart")
    return ", ".join(parts)


def leaving_text(snapshot: EpisodeSnapshot) -> str | None:
    """What the clinic's own model says, where it has one: a chance with what adds to it, never a verdict."""
    seen = snapshot.dropout
    if seen is None or snapshot.status != "open":
        return None
    share = f"about {100 * seen.within_three:.0f} in 100 of this clinic's earlier clients left within three sessions"
    return f"At such a point (as of {day(seen.at)}), {share}. What adds to it: {seen.reason}."


def quality_notes(readings: Iterable[Reading]) -> list[str]:
    """What makes some ratings harder to read, newest first."""
    return [
        f"{day(reading.occurred_at)}: {note}"
        for reading in sorted(readings, key=lambda reading: reading.occurred_at, reverse=True)
        for note in _notes(reading)
    ]


def _notes(reading: Reading) -> list[str]:
    without = [reading.why_no_total] if reading.why_no_total else []
    return [*map(quality_words, reading.quality), *without]


def _beside(reading: Reading) -> list[str]:
    """What this rating says beside the client's beginning, or beside the partner's view."""
    said = {each.detector: each for each in reading.signals}
    apart = said.get("discrepancy")
    track = said.get("off-track")
    told = [track.reason] if track is not None and track.details else []
    return told + ([apart.reason] if apart is not None and (apart.value or 0.0) >= APART_SDS else [])


def urgency(alert: Alert) -> tuple[bool, int, datetime]:
    return alert.state == "open", tone(alert.kind, alert.severity).rank, alert.opened_at


def _marks(drawn: Series) -> list[Mark]:
    return [_mark(drawn, reading) for reading in drawn.readings[-SPARK_SESSIONS:]]


def _mark(drawn: Series, reading: Reading) -> Mark:
    band = expected_index(drawn, reading)
    return Mark(reading.index, *band) if band else Mark(reading.index)


def spark_text(drawn: Series | None) -> str:
    """The small line in words, for those who do not see it."""
    if drawn is None:
        return "no ratings yet"
    last = drawn.readings[-1]
    known = "without a total" if last.total is None else number(last.total)
    band = expected_band(last.expected)
    expected = f", expected {_between(*band)}" if band else ""
    return f"{count(len(drawn.readings), 'rating')}, the last {known}{expected}"


def _session_row(reading: Reading, alerts: Sequence[Alert]) -> SessionRow:
    band = expected_band(reading.expected)
    raised = [alert for alert in alerts if alert.rating_id == reading.rating_id and alert.state != "withdrawn"]
    return SessionRow(
        number=reading.session_number,
        date=day(reading.occurred_at),
        rating="no total" if reading.total is None else number(reading.total),
        level=_level(reading),
        expected=_between(*band) if band else "not yet",
        notes=(*(reading.strain.steps if reading.strain else ()), *_beside(reading), *_notes(reading)),
        tones=tuple(tone(alert.kind, alert.severity) for alert in raised),
    )


def _level(reading: Reading) -> str:
    score = reading.score
    return "not yet" if score is None else f"{number(score.level)} ({_between(score.low, score.high)})"


def _between(low: float, high: float) -> str:
    return f"{number(low)} to {number(high)}"
