"""Facts off the wire, fast: msgspec structs that mirror `schemas.events`, and the contract itself as the judge.

msgspec decodes what our own relay writes in a few microseconds. Whatever it refuses goes to the contract
(`schemas.codec`), which decides and names the reason; so both judge alike (tests/unit/test_scoring_app_wire.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, cast

import msgspec

from schemas import codec
from schemas.topics import SESSION_EVENTS
from services.scoring.domain.facts import Fact, Kind, Rating

Uuid = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")]
Instrument = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9-]+@[a-z0-9.]+\Z", max_length=64)]
Time = Annotated[datetime, msgspec.Meta(tz=True)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Named(msgspec.Struct, frozen=True, gc=False):
    """As much of a fact as says which it is, and of which episode."""

    fact_id: Uuid
    tenant_id: Uuid
    client_id: Uuid
    episode_id: Uuid

    @property
    def client_key(self) -> bytes:
        return f"{self.tenant_id}:{self.client_id}".encode()

    @property
    def episode_key(self) -> bytes:
        """The table's key."""
        return f"{self.tenant_id}:{self.client_id}:{self.episode_id}".encode()


class WireFact(Named, frozen=True, gc=False):
    """A fact of any type. What its type requires is checked after decoding, so that one pass is enough."""

    type: str
    record_id: Uuid
    occurred_at: Time
    recorded_at: Time
    schema_version: Literal[1] = 1
    version: Positive = 1
    clinician_id: Uuid | None = None
    session_id: Uuid | None = None
    historical: bool = False
    clock: Literal["wall", "feed"] = "wall"
    instrument: Instrument | None = None
    rater: Literal["client", "therapist"] | None = None
    items: dict[str, float | None] = msgspec.field(default_factory=dict)
    total: float | None = None
    seconds_to_complete: NotNegative | None = None
    starts_at: Time | None = None
    dropped_fact_id: Uuid | None = None
    survivor_id: Uuid | None = None
    survivor_episode_id: Uuid | None = None


_DECODER = msgspec.json.Decoder(WireFact)
_NAMES = msgspec.json.Decoder(Named)
RATINGS = frozenset({"rating.submitted", "rating.amended"})
SESSIONS = frozenset({"session.booked", "session.attended", "session.missed", "session.cancelled"})
PLAIN = frozenset({"rating.retracted", "episode.opened", "episode.transferred"})


def decode(value: bytes | None, headers: Iterable[tuple[str, bytes]]) -> WireFact:
    """The fact in a record.

    Raises:
        ContractError: what `schemas.codec.decode` says of it.
    """
    codec.check_version(headers)
    try:
        fact = _DECODER.decode(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError):
        fact = None
    return fact if fact is not None and _certain(fact) else _by_contract(value)


def named(key: bytes | None, value: bytes | None) -> Named | None:
    """Which fact a record was to be that cannot be read as one; `None` where it does not say, or its key denies it."""
    try:
        found = _NAMES.decode(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return found if found.client_key == key else None


def _certain(fact: WireFact) -> bool:
    """Whether the fast decoder has seen all there is to check of this type."""
    if fact.type in RATINGS:
        return fact.instrument is not None and fact.rater is not None
    if fact.type in SESSIONS - {"session.cancelled"}:
        return fact.session_id is not None and fact.starts_at is not None
    return fact.type in PLAIN or (fact.type == "fact.dropped" and fact.dropped_fact_id is not None)


def _by_contract(value: bytes | None) -> WireFact:
    fact = codec.decode(SESSION_EVENTS, value)
    return msgspec.convert(fact.model_dump(mode="json"), WireFact, strict=False)


def to_domain(fact: WireFact) -> Fact:
    """The fact as the domain sees it."""
    rating = None
    if fact.instrument is not None and fact.rater is not None:
        rating = Rating(fact.instrument, fact.rater, fact.items, fact.total, fact.seconds_to_complete)
    return Fact(
        fact_id=fact.fact_id,
        record_id=fact.record_id,
        version=fact.version,
        kind=cast("Kind", fact.type),
        occurred_at=micros(fact.occurred_at),
        recorded_at=micros(fact.recorded_at),
        session_id=_went_to(fact) if fact.type == "client.merged-away" else fact.session_id,
        clinician_id=fact.clinician_id,
        historical=fact.historical,
        clock=fact.clock,
        rating=rating,
        starts_at=None if fact.starts_at is None else micros(fact.starts_at),
        drops=fact.dropped_fact_id,
    )


def _went_to(fact: WireFact) -> str | None:
    """The episode that has a merged client's facts; of a writer that names none, the client."""
    return fact.survivor_episode_id or fact.survivor_id


def micros(at: datetime) -> int:
    """Microseconds since 1970, exactly.

    >>> micros(datetime(1970, 1, 1, 0, 0, 1, 5, tzinfo=UTC))
    1000005
    """
    return (at - EPOCH) // MICROSECOND


def moment(at: int | None) -> datetime | None:
    """Back again.

    >>> moment(1000005).isoformat()
    '1970-01-01T00:00:01.000005+00:00'
    """
    return None if at is None else EPOCH + timedelta(microseconds=at)


UNSUPPORTED = frozenset({"client.erased"})
"""Facts about a client that scoring does not act upon yet; they are set aside, not lost."""
