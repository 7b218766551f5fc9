"""What a posted event means: pure, from JSON to a draft or to everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError

from schemas import posted
from schemas.instruments import Instrument, lookup, rater_fault, score
from schemas.posted import Posted, PostedClientMerged, PostedRating, PostedSession
from services.ingest import quick
from services.ingest.canonical import canonical
from services.ingest.draft import AHEAD, BOOKED_AHEAD, EARLIEST, Draft, Receiving, drafted
from services.platform.problems import Fault

_MAX_NAME = 64
_MAX_FAULTS = 100
"""Told at once; who has more wrong than that is not helped by the rest."""
_ADAPTER: TypeAdapter[posted.PostedEvent] = TypeAdapter(posted.PostedEvent)
_UNTOLD = {"union_tag_not_found": "missing", "union_tag_invalid": "unknown type", "extra_forbidden": "unknown field"}
"""What pydantic calls in its own words."""
_EXPECTED = {
    "missing": "a value",
    "string_type": "a string",
    "float_type": "a number",
    "int_type": "a whole number",
    "finite_number": "a finite number",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "datetime_type": "a date and time with its UTC offset (RFC 3339)",
    "timezone_aware": "a date and time with its UTC offset (RFC 3339)",
    "string_too_short": "at least one character",
    "string_unicode": "Unicode text",
    "too_long": "fewer entries",
    "bool_type": "true or false",
}


def read(event: object, receiving: Receiving) -> Draft | tuple[Fault, ...]:
    """The draft of one posted event (plain JSON, as an object), or every fault in it."""
    known = quick.read(event, receiving) if isinstance(event, dict) else None
    if known is not None:
        return known
    checked = check(event, receiving.now)
    if isinstance(checked, tuple):
        return checked
    return drafted(checked, canonical(checked.model_dump(mode="json")), receiving)


def check(event: object, now: datetime) -> posted.PostedEvent | tuple[Fault, ...]:
    """The event where it is sound in itself, or every fault in it."""
    if not isinstance(event, dict):
        return (Fault(pointer="", detail="not an object", expected="one event as a JSON object"),)
    try:
        checked = _ADAPTER.validate_python(event)
    except ValidationError as error:
        return tuple(_fault(each) for each in error.errors(include_url=False, include_input=False)[:_MAX_FAULTS])
    faults = (*_time_faults(checked, now), *_rating_faults(getattr(checked, "rating", None)), *_self_faults(checked))
    return faults[:_MAX_FAULTS] or checked


# ------------------------------------------------------------------------------------------------ faults


def told(faults: Sequence[Fault]) -> str:
    """How many there are, for a sentence."""
    return f"{len(faults)} fault{'s' if len(faults) > 1 else ''} in the event"


def _fault(error: Mapping[str, Any]) -> Fault:
    kind = str(error["type"])
    place = [part for number, part in enumerate(error["loc"]) if number or part not in _VARIANTS]
    place = ["type"] if kind.startswith("union_tag") else place
    return Fault(
        pointer=pointer(place), detail=_UNTOLD.get(kind, kind.replace("_", " ")), expected=_expected(kind, error)
    )


_VARIANTS: Mapping[str, type[Posted]] = {
    get_args(variant.model_fields["type"].annotation)[0]: variant
    for variant in get_args(get_args(posted.PostedEvent)[0])
}
"""By type; pydantic names it first in a place, and a JSON pointer does not."""


def _expected(kind: str, error: Mapping[str, Any]) -> str:
    context = error.get("ctx", {})
    bounds = {"greater_than_equal": ("ge", "at least"), "less_than_equal": ("le", "at most")}
    if kind in bounds:
        name, words = bounds[kind]
        return f"{words} {context[name]}"
    if kind == "string_too_long":
        return f"at most {context['max_length']} characters"
    if kind.startswith("union_tag"):
        return f"one of {', '.join(_VARIANTS)}"
    if kind == "extra_forbidden":
        return _nearest(error["loc"])
    if kind in {"literal_error", "value_error"}:
        return str(context.get("expected") or context.get("error"))
    return _EXPECTED.get(kind, "see the API documentation")


def _nearest(place: Sequence[Any]) -> str:
    """The field that was perhaps meant: a name that nobody knows is most often a slip."""
    model = PostedRating if "rating" in place[1:-1] else _VARIANTS[place[0]]
    near = get_close_matches(str(place[-1])[:_MAX_NAME], model.model_fields, n=1)
    return f"no such field; {near[0]}?" if near else f"no such field; there are {', '.join(model.model_fields)}"


def pointer(place: list[Any]) -> str:
    """A JSON pointer (RFC 6901); names that a caller made up are cut and cleaned.

    >>> pointer(["rating", "items", "a/b"])
    '/rating/items/a~1b'
    """
    return "".join("/" + _clean(str(part)).replace("~", "~0").replace("/", "~1") for part in place)[:500]


def _clean(name: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in name[:_MAX_NAME])


def _time_faults(event: Posted, now: datetime) -> list[Fault]:
    in_advance = event.type in {"session.booked", "session.cancelled"}  # type: ignore[attr-defined]  # every variant has it
    ahead = BOOKED_AHEAD if in_advance else AHEAD
    times = {"occurred_at": (event.occurred_at, AHEAD)}
    if isinstance(event, PostedSession) and event.starts_at is not None:
        times["starts_at"] = (event.starts_at, ahead)
        times["occurred_at"] = (event.occurred_at, ahead)
    return [
        Fault(pointer=f"/{name}", detail="beyond what can be", expected=f"from 1990 to {most.days} days from now")
        for name, (at, most) in times.items()
        if not EARLIEST <= at <= now + most
    ]


def _rating_faults(rating: PostedRating | None) -> list[Fault]:
    if rating is None:
        return []
    instrument = lookup(rating.instrument)
    if not isinstance(instrument, Instrument):
        return [Fault(pointer="/rating/instrument", detail="unknown instrument", expected=instrument.expected)]
    faults = [_item_fault(each) for each in _scoring_faults(instrument, rating)]
    wrong = rater_fault(instrument, rating.rater)
    return [*faults, Fault(pointer="/rating/rater", detail=wrong.code, expected=wrong.expected)] if wrong else faults


def _scoring_faults(instrument: Instrument, rating: PostedRating) -> tuple[Any, ...]:
    scored = score(instrument, rating.items, rating.total)
    return scored if isinstance(scored, tuple) else ()


def _self_faults(event: Posted) -> list[Fault]:
    alone = isinstance(event, PostedClientMerged) and event.merged == event.client
    return [Fault(pointer="/merged", detail="the same reference", expected="another one than client")] if alone else []


def _item_fault(fault: Any) -> Fault:  # noqa: ANN401 - schemas.instruments.Fault, whose name is ours too
    place = ["rating", "items", fault.item] if fault.item is not None else ["rating"]
    if fault.item is None and fault.code in {"total-mismatch", "out-of-range", "off-step", "not-finite"}:
        place = ["rating", "total"]
    return Fault(pointer=pointer(place), detail=fault.code, expected=fault.expected)
