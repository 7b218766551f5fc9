"""What is said about an episode, as messages: structs whose JSON is that of `schemas.events` (proved by a test)."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from schemas.codec import CONTENT_TYPE
from schemas.events import RECENT_APPOINTMENTS
from services.platform.dead_letters import RawRecord
from services.scoring.domain.attendance import Appointment, Attendance
from services.scoring.domain.leaving import Forecast
from services.scoring.domain.series import Reading
from services.scoring.domain.signals import published
from services.scoring.handlers import Conclusions
from services.scoring.wire import Named, moment

_encode = msgspec.json.Encoder().encode


class Message(msgspec.Struct, frozen=True, gc=False):
    """One conclusion: what all carry, then what its type adds."""

    schema_version: int
    tenant_id: str
    client_id: str
    episode_id: str
    revision: dict[str, int]
    causes: list[str]
    known_at: datetime | None
    clock: str
    incomplete: bool


class SnapshotMessage(Message, frozen=True, gc=False, tag="episode.snapshot"):
    owner_id: str | None
    status: str
    opened_at: datetime | None
    closed_at: datetime | None
    attendance: dict[str, Any]
    silent_amber_at: datetime | None
    silent_red_at: datetime | None
    silence_reason: str | None
    ratings: int
    historical: bool
    dropout_hazard: float | None = None
    dropout: dict[str, Any] | None = None
    merged_into: str | None = None


class ReadingMessage(Message, frozen=True, gc=False, tag="reading"):
    rating_id: str
    session_id: str | None
    session_number: int
    clinician_id: str | None
    instrument: str
    rater: str
    occurred_at: datetime | None
    recorded_at: datetime | None
    historical: bool
    total: float | None
    why_no_total: str | None
    facets: Any
    index: float | None
    score: Any
    score_index: Any
    expected: Any
    tail_probability: float | None
    signals: Any
    quality: tuple[str, ...]
    strain: Any


class WithdrawnMessage(Message, frozen=True, gc=False, tag="reading.withdrawn"):
    rating_id: str


class Episode(NamedTuple):
    """Whose conclusions these are."""

    tenant_id: str
    client_id: str
    episode_id: str

    @classmethod
    def of(cls, fact: Named) -> Episode:
        return cls(fact.tenant_id, fact.client_id, fact.episode_id)


def messages(whose: Episode, said: Conclusions) -> list[RawRecord]:
    """Readings first, then withdrawals, then the one snapshot that answers every cause."""
    shared = _Shared(whose, said)
    return [
        *(shared.record(_reading(shared, said, each), each.rating_id, "reading") for each in said.readings),
        *(shared.record(_withdrawn(shared, said, each), each, "reading.withdrawn") for each in said.withdrawn),
        shared.record(_snapshot(shared, said), whose.episode_id, "episode.snapshot"),
    ]


class _Shared:
    """What the messages of one episode and revision share."""

    def __init__(self, whose: Episode, said: Conclusions) -> None:
        known_at = moment(said.snapshot.known_at)
        self._envelope: dict[str, Any] = {
            "schema_version": 1,
            **whose._asdict(),
            "revision": {"engine": said.engine, "facts": said.facts_held},
            "known_at": known_at,
            "clock": said.snapshot.clock,
            "incomplete": said.incomplete,
        }
        self.key = f"{whose.tenant_id}:{whose.client_id}".encode()
        self._id_end = f":{said.engine}.{said.facts_held}"
        self._headers = (
            CONTENT_TYPE,
            ("ce_specversion", b"1.0"),
            ("ce_source", f"/tenants/{whose.tenant_id}/scoring".encode()),
            ("ce_subject", whose.client_id.encode()),
            ("ce_time", known_at.isoformat().encode() if known_at else b""),
            ("ce_partitionkey", self.key),
        )

    def envelope(self, causes: list[str]) -> dict[str, Any]:
        return {**self._envelope, "causes": causes}

    def record(self, message: Message, about: str, kind: str) -> RawRecord:
        own = (("ce_id", f"{about}{self._id_end}".encode()), ("ce_type", f"attune.{kind}.v1".encode()))
        return RawRecord(self.key, _encode(message), self._headers + own)


def _reading(shared: _Shared, said: Conclusions, reading: Reading) -> ReadingMessage:
    return ReadingMessage(
        **shared.envelope(said.caused(reading.rating_id)),
        rating_id=reading.rating_id,
        session_id=reading.session_id,
        session_number=reading.session_number,
        clinician_id=reading.clinician_id,
        instrument=reading.instrument,
        rater=reading.rater,
        occurred_at=moment(reading.occurred_at),
        recorded_at=moment(reading.recorded_at),
        historical=reading.historical,
        total=reading.total,
        why_no_total=reading.why_no_total,
        facets=reading.facets,
        index=reading.index,
        score=reading.score,
        score_index=reading.score_index,
        expected=reading.expected,
        tail_probability=reading.tail_probability,
        signals=reading.signals,
        quality=reading.quality,
        strain=reading.strain,
    )


def _withdrawn(shared: _Shared, said: Conclusions, rating_id: str) -> WithdrawnMessage:
    return WithdrawnMessage(**shared.envelope(said.caused(rating_id)), rating_id=rating_id)


def _snapshot(shared: _Shared, said: Conclusions) -> SnapshotMessage:
    seen, silence = said.snapshot, said.snapshot.silence
    return SnapshotMessage(
        **shared.envelope([fact.fact_id for fact in said.causes]),
        owner_id=seen.owner_id,
        status=seen.status,
        opened_at=moment(seen.opened_at),
        closed_at=moment(seen.closed_at),
        attendance=_attendance(seen.attendance),
        silent_amber_at=moment(silence.amber_at) if silence else None,
        silent_red_at=moment(silence.red_at) if silence else None,
        silence_reason=silence.reason if silence else None,
        ratings=seen.ratings,
        historical=all(fact.historical for fact in said.causes),
        dropout_hazard=published(seen.forecast.hazard.next) if seen.forecast else None,
        dropout=_dropout(seen.forecast) if seen.forecast else None,
        merged_into=seen.merged_into,
    )


def _dropout(seen: Forecast) -> dict[str, Any]:
    return {
        "session_id": seen.session_id,
        "session_number": seen.session,
        "at": moment(seen.at),
        "next": published(seen.hazard.next),
        "within_three": published(seen.hazard.within_three),
        "line": seen.line,
        "since": seen.since,
        "otherwise": None if seen.otherwise is None else published(seen.otherwise),
        "contributions": {name: published(value) for name, value in seen.hazard.contributions},
        "reason": seen.hazard.reason,
        "historical": seen.historical,
    }


def _attendance(seen: Attendance) -> dict[str, Any]:
    return {
        "attended": seen.attended,
        "missed": seen.missed,
        "cancelled": seen.cancelled,
        "missed_of_last_three": seen.missed_of_last_three,
        "missed_before_third": seen.missed_before_third,
        "last_attended_at": moment(seen.last_attended_at),
        "median_gap_days": seen.median_gap_days,
        "next_booking_at": moment(seen.next_booking_at),
        "recent": [_appointment(each) for each in seen.appointments[-RECENT_APPOINTMENTS:]],
    }


def _appointment(each: Appointment) -> dict[str, Any]:
    return {"session_id": each.session_id, "starts_at": moment(each.starts_at), "outcome": each.outcome}
