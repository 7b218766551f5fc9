"""What clinics nearly always post, taken in at a quarter of the contract's cost: plain ratings and appointments.

A mirror of `schemas.posted` that is stricter in all it looks at: what it accepts, the contract accepts and reads alike;
what it leaves (`None`), the contract judges and names the faults of. It writes the canonical bytes as it goes, for it
knows every field's place. `tests/property/test_ingest_quick.py` holds both: same drafts, same digests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from json.encoder import encode_basestring as quoted
from typing import Annotated, Any, Literal

import msgspec

from schemas.events import Rater
from schemas.instruments import Instrument, Scale, lookup
from services.ingest.canonical import canonical
from services.ingest.draft import AHEAD, BOOKED_AHEAD, EARLIEST, Draft, Receiving, drafted

_MOST_STEPS = 1_000
_PLAIN_TIMES = (20, 25)
"""Characters of a time to the second, with `Z` or an offset: for those, every reader agrees."""
Reference = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Version = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Time = Annotated[datetime, msgspec.Meta(tz=True)]
Texts = Mapping[float | None, str]
"""The canonical text of each value that is surely right."""


class _Part(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """Nothing here refers back, so the collector of cycles need not look."""


class Rating(_Part, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    instrument: str
    rater: Rater = "client"
    items: dict[str, float | None] = {}
    total: float | None = None
    seconds_to_complete: float | None = None


class _Common(_Part, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    id: Reference
    source: Reference = "ehr"
    version: Version = 1
    client: Reference
    clinician: Reference | None = None
    episode: Reference | None = None
    occurred_at: Time


class RatingSubmitted(_Common, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    type: Literal["rating.submitted"]
    session: Reference | None = None
    rating: Rating


class Session(_Common, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    type: Literal["session.attended", "session.missed"]
    session: Reference
    starts_at: Time | None = None


class SessionBooked(_Common, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    type: Literal["session.booked"]
    session: Reference
    starts_at: Time


class SessionCancelled(_Common, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    type: Literal["session.cancelled"]
    session: Reference
    starts_at: Time | None = None
    cancelled_by: Literal["client", "clinic"] | None = None


Known = RatingSubmitted | Session | SessionBooked | SessionCancelled
_KINDS: Mapping[object, type[Known]] = {
    "rating.submitted": RatingSubmitted,
    "session.attended": Session,
    "session.missed": Session,
    "session.booked": SessionBooked,
    "session.cancelled": SessionCancelled,
}


class _NotSure(Exception):
    """Left to the contract."""


def read(event: Mapping[str, Any], receiving: Receiving) -> Draft | None:
    """The draft of a plain event, or nothing: then the contract has to look."""
    kind = event.get("type")
    model = _KINDS.get(kind) if type(kind) is str else None
    if model is None or not _is_plain(event):
        return None
    try:
        found: Known = msgspec.convert(event, model)
        body = _rating(found, receiving) if type(found) is RatingSubmitted else _session(found, receiving)  # type: ignore[arg-type]  # just looked
    except (msgspec.ValidationError, UnicodeError, _NotSure, KeyError):
        return None
    return drafted(found, body.encode(), receiving)


def _is_plain(event: Mapping[str, Any]) -> bool:
    """What a conversion would be more patient about than the contract: whole numbers, and how a time is written."""
    starts = event.get("starts_at")
    return (
        type(event.get("version", 1)) is int
        and _is_plain_time(event.get("occurred_at"))
        and (starts is None or _is_plain_time(starts))
    )


def _is_plain_time(text: object) -> bool:
    """`2026-01-01T10:00:00Z` and the like."""
    return type(text) is str and len(text) in _PLAIN_TIMES and text[10] == "T" and text[19] in "Z+-"


# ------------------------------------------------------------------------------------------ canonical bytes


def _rating(event: RatingSubmitted, receiving: Receiving) -> str:
    at = _moment(event.occurred_at, receiving.now + AHEAD)
    return (
        f'{{{_who(event)},"occurred_at":{at},"rating":{_form(event.rating)},"session":{_text(event.session)},'
        f'"source":{_text(event.source)},"type":"rating.submitted","version":{event.version}}}'
    )


def _session(event: Session | SessionBooked | SessionCancelled, receiving: Receiving) -> str:
    at = _moment(event.occurred_at, receiving.now + AHEAD)
    in_advance = event.type in {"session.booked", "session.cancelled"}
    latest = receiving.now + (BOOKED_AHEAD if in_advance else AHEAD)
    starts = "null" if event.starts_at is None else _moment(event.starts_at, latest)
    by = f'"cancelled_by":{_text(event.cancelled_by)},' if type(event) is SessionCancelled else ""
    return (
        f'{{{by}{_who(event)},"occurred_at":{at},"session":{_text(event.session)},"source":{_text(event.source)},'
        f'"starts_at":{starts},"type":"{event.type}","version":{event.version}}}'
    )


def _who(event: Known) -> str:
    return (
        f'"client":{_text(event.client)},"clinician":{_text(event.clinician)},"episode":{_text(event.episode)},'
        f'"id":{_text(event.id)}'
    )


def _text(reference: str | None) -> str:
    if reference is None:
        return "null"
    if not reference.isprintable() or reference[0] == " " or reference[-1] == " ":
        raise _NotSure  # no other blank is printable
    return quoted(reference)


def _moment(at: datetime, latest: datetime) -> str:
    if not EARLIEST <= at <= latest:
        raise _NotSure
    return f'"{at.astimezone(UTC).isoformat()[:19]}Z"'


def _form(rating: Rating) -> str:
    """A form whose answers are all steps of their scales: nothing else is sure without scoring it."""
    known = _known(rating.instrument)
    if rating.rater not in known.raters or (rating.total is not None) is bool(rating.items):
        raise _NotSure
    places, items = known.items, rating.items
    answers = ",".join([places[code][items[code]] for code in sorted(items)])
    return (
        f'{{"instrument":"{rating.instrument}","items":{{{answers}}},"rater":"{rating.rater}",'
        f'"seconds_to_complete":{_seconds(rating.seconds_to_complete)},"total":{known.totals[rating.total]}}}'
    )


def _seconds(value: float | None) -> str:
    if value is None:
        return "null"
    if not 0 <= value <= timedelta(days=1).total_seconds():
        raise _NotSure
    return _number(value)


def _number(value: float) -> str:
    return canonical({"n": value})[5:-1].decode()


# ------------------------------------------------------------------------------------------------ instruments


@dataclass(frozen=True, slots=True)
class _Instrument:
    """What may stand on a form, as it is written: each item with its name, and the total alone."""

    raters: Sequence[str]
    items: Mapping[str, Texts]
    totals: Texts


def _known(key: str) -> _Instrument:
    instrument = lookup(key)
    if not isinstance(instrument, Instrument):
        raise _NotSure
    return _written(instrument.key)


@lru_cache(maxsize=64)
def _written(key: str) -> _Instrument:
    instrument = lookup(key)
    assert isinstance(instrument, Instrument)
    items = {item.code: _steps(item.scale, f'"{item.code}":') for item in instrument.items}
    return _Instrument(instrument.raters, items, _steps(instrument.total, ""))


def _steps(scale: Scale, name: str) -> Texts:
    """Every step of a scale, and no answer. A scale of very many steps is left to the contract."""
    first, last = round(scale.low / scale.step), round(scale.high / scale.step)
    steps = range(first, last + 1) if last - first <= _MOST_STEPS else ()
    values = [round(step * scale.step, 6) for step in steps]
    return {None: f"{name}null"} | {value: f"{name}{_number(value)}" for value in values}
