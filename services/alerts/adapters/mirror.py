"""Scoring's conclusions as alerts takes them in: the contract's own fields, read and written in a few microseconds.

A mirror of `schemas.events`, because judging a reading by the contract and writing it out again took longer than
storing it. What the mirror refuses, the contract judges: it may be more patient, and it names the fault.
`tests/unit/test_alerts_mirror.py` holds that the mirror has every field of the contract, accepts nothing that the
contract refuses, and says the same of what both accept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from schemas import codec, events
from schemas.topics import ALLIANCE_SCORES

Time = Annotated[datetime, msgspec.Meta(tz=True)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]
Place = Annotated[int, msgspec.Meta(ge=1)]
InstrumentKey = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]+@[a-z0-9.]+$", max_length=64)]


class _Part(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A part of a conclusion. Nothing here refers back, so the collector of cycles need not look."""


class Revision(_Part, frozen=True, gc=False, kw_only=True):
    engine: Place
    facts: Count


class Appointment(_Part, frozen=True, gc=False, kw_only=True):
    session_id: UUID
    starts_at: Time
    outcome: Literal["booked", "attended", "missed", "cancelled"]


class Attendance(_Part, frozen=True, gc=False, kw_only=True):
    attended: int
    missed: int
    cancelled: int
    missed_of_last_three: int
    missed_before_third: bool
    last_attended_at: Time | None = None
    median_gap_days: float | None = None
    next_booking_at: Time | None = None
    recent: tuple[Appointment, ...] = ()


class Band(_Part, frozen=True, gc=False, kw_only=True):
    level: float
    low: float
    high: float


class Expectation(_Part, frozen=True, gc=False, kw_only=True):
    mean: float
    quantiles: dict[str, float]


class Signal(_Part, frozen=True, gc=False, kw_only=True):
    detector: str
    value: float | None
    unit: str
    reason: str
    details: dict[str, float | None] = {}


class StrainCourse(_Part, frozen=True, gc=False, kw_only=True):
    phase: Literal["none", "open", "provisionally-repaired", "repaired", "unrepaired", "dropped"]
    steps: tuple[str, ...] = ()
    before: float | None = None
    target: float | None = None
    sessions: Count = 0
    lenient: Literal["none", "open", "repaired", "lapsed"] = "none"
    strict: Literal["none", "open", "repaired", "lapsed"] = "none"


class DropoutForecast(_Part, frozen=True, gc=False, kw_only=True):
    session_id: UUID
    session_number: Place
    at: Time
    next: Probability
    within_three: Probability
    line: Probability
    since: UUID | None = None
    otherwise: Probability | None = None
    contributions: dict[str, float]
    reason: str
    historical: bool = False


class _Conclusion(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag_field="type"):
    """What every message of scoring carries."""

    schema_version: Literal[1] = 1
    tenant_id: UUID
    client_id: UUID
    episode_id: UUID
    revision: Revision
    causes: tuple[UUID, ...]
    known_at: Time
    clock: Literal["wall", "feed"]
    incomplete: bool = False

    @property
    def newness(self) -> tuple[int, int]:
        """What is larger knows more."""
        return (self.revision.engine, self.revision.facts)


class EpisodeSnapshot(_Conclusion, frozen=True, gc=False, kw_only=True, tag="episode.snapshot"):
    owner_id: UUID | None = None
    status: Literal["open", "closed"]
    opened_at: Time | None = None
    closed_at: Time | None = None
    attendance: Attendance
    silent_amber_at: Time | None = None
    silent_red_at: Time | None = None
    silence_reason: str | None = None
    ratings: Count
    historical: bool
    dropout_hazard: float | None = None
    dropout: DropoutForecast | None = None
    merged_into: UUID | None = None


class Reading(_Conclusion, frozen=True, gc=False, kw_only=True, tag="reading"):
    rating_id: UUID
    session_id: UUID | None = None
    session_number: Place
    clinician_id: UUID | None = None
    instrument: InstrumentKey
    rater: Literal["client", "therapist"]
    occurred_at: Time
    recorded_at: Time
    historical: bool
    total: float | None = None
    why_no_total: str | None = None
    facets: dict[str, float | None] = {}
    index: float | None = None
    score: Band | None = None
    score_index: Band | None = None
    expected: Expectation | None = None
    tail_probability: float | None = None
    signals: tuple[Signal, ...] = ()
    quality: tuple[str, ...] = ()
    strain: StrainCourse | None = None


class ReadingWithdrawn(_Conclusion, frozen=True, gc=False, kw_only=True, tag="reading.withdrawn"):
    rating_id: UUID


Conclusion = EpisodeSnapshot | Reading | ReadingWithdrawn

snapshot = msgspec.json.Decoder(EpisodeSnapshot).decode
decode: Callable[[bytes | str], Conclusion] = msgspec.json.Decoder(Conclusion).decode
_encode = msgspec.json.Encoder().encode


def read(value: bytes | None, headers: Iterable[tuple[str, bytes]] = ()) -> tuple[Conclusion, str]:
    """The conclusion in a record, and the text to store: as it came, where the mirror accepts it.

    Raises:
        UnknownVersion, UnknownEvent, UndecodableEvent: as the contract says.
    """
    codec.check_version(headers)
    try:
        return decode(value or b""), (value or b"").decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = of(codec.decode(ALLIANCE_SCORES, value))
        return found, text(found)


def of(said: events.Conclusion) -> Conclusion:
    """What the contract holds, here."""
    return decode(said.model_dump_json())


def text(said: Conclusion) -> str:
    """As JSON: the contract's fields and no others."""
    return _encode(said).decode()
