"""The quick way of taking an event in accepts nothing that the contract refuses, and makes the same draft of it."""

from __future__ import annotations

import copy
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.instruments import catalogue
from services.ingest import handlers, quick
from services.ingest.canonical import canonical
from services.ingest.draft import Draft, Receiving, drafted
from services.ingest.ids import FACTS, named
from tests.clinic import rating

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
RECEIVING = Receiving(uuid.UUID(int=1), NOW, "wall", timedelta(days=14))
SESSION = {"id": "A-1", "client": "C-1", "session": "S-1", "occurred_at": "2026-01-01T10:00:00Z"}
PLAIN: list[dict[str, Any]] = [
    rating(),
    {**rating(), "source": "x", "version": 2, "clinician": None, "episode": "E", "session": None},
    {**rating(), "rating": {"instrument": "phq-9@1", "items": {"q1": 0, "q2": 3.0, "q9": None}, "rater": "client"}},
    {**rating(), "rating": {"instrument": "srs@3", "total": 31.5, "seconds_to_complete": 12.25}},
    *({**SESSION, "type": f"session.{kind}"} for kind in ("attended", "missed", "cancelled")),
    {**SESSION, "type": "session.booked", "starts_at": "2026-02-01T10:00:00+01:00"},
    {**SESSION, "type": "session.cancelled", "cancelled_by": "clinic", "starts_at": "2026-02-01T10:00:00Z"},
]
ODD: list[Any] = [
    None, True, False, 0, 1, -1, 1.0, -0.0, 1.5, 2, 10, 9.1, 9.15, 9.100000001, 40.1, 1e-7, 86_400, 86_401, 10**30,
    -(10**30), 1e308, float("nan"), float("inf"), "", " ", " a", "a ", "a\u3000", "\x7f", "\ud800", "\u00e9", 'q"\\/',
    "a" * 200, "a" * 201, "client", "therapist", "clinic", "rating.submitted", "session.booked", "srs@3", "SRS@3",
    "srs", "wai-sr@7pt", [], {}, [None], {"q1": 1}, {"overall": True}, {"overall": 9.1}, {"overall": None},
    {"x" * 65: 1}, {1: 1},
    "2026-01-01T10:00:00Z", "2026-01-01t10:00:00z", "2026-01-01T10:00:00", "2026-01-01 10:00:00Z", "2026-01-01T10:00Z",
    "2026-01-01T10:00:00+05:30", "2026-01-01T10:00:00-0530", "2026-01-01T10:00:00+24:00", "2026-01-01T10:00:00-00:00",
    "2026-01-01T10:00:00.123Z", "2026-01-01T10:00:00.1234Z", "2026-01-01T10:00:00.123456789Z", "2026-01-01T23:59:60Z",
    "2026-01-01T24:00:00Z", "2026-02-30T10:00:00Z", "0001-01-01T00:00:00+10:00", "1989-12-31T23:59:59Z",
    "2026-11-21T12:00:00Z", "2026-11-21T12:00:01Z", "2028-11-19T12:00:00Z", "2028-11-19T12:00:01Z", 1767261600,
    "\u0662026-01-01T10:00:00Z",
]  # fmt: skip


def by_contract(event: dict[str, Any]) -> Draft | None:
    checked = handlers.check(event, NOW)
    if isinstance(checked, tuple):
        return None
    return drafted(checked, canonical(checked.model_dump(mode="json")), RECEIVING)


def same(quick_one: Draft, careful: Draft | None) -> None:
    """The same ids and digest, and each field that the contract has."""
    assert careful is not None, "the contract refuses it"
    assert (quick_one.fact_id, quick_one.record_id) == (careful.fact_id, careful.record_id)
    assert quick_one.body_hash == careful.body_hash
    assert dict(fields(quick_one.event)) == dict(fields(careful.event))


def fields(event: Any) -> Iterator[tuple[str, object]]:  # noqa: ANN401 - either reader's
    """Each field's value; the parts of a rating by their own names."""
    for name in getattr(event, "__struct_fields__", None) or type(event).model_fields:
        value = getattr(event, name)
        if name == "rating":
            yield from fields(value)
        else:
            yield name, value


@pytest.mark.parametrize("event", PLAIN)
def test_what_clinics_post_goes_the_quick_way(event: dict[str, Any]) -> None:
    """Ratings and appointments in plain form need no contract, and become what it would have made of them."""
    taken = quick.read(event, RECEIVING)
    assert taken is not None
    same(taken, by_contract(event))


@pytest.mark.parametrize("instrument", catalogue(), ids=lambda each: each.key)
def test_every_step_of_every_instrument(instrument: Any) -> None:  # noqa: ANN401 - schemas.instruments.Instrument
    """Whatever stands on a form, whoever filled it in: no answer is taken that the contract does not take."""
    for item in instrument.items:
        count = round((item.scale.high - item.scale.low) / item.scale.step)
        for step in range(-1, min(count, 1_000) + 2):
            answers = {item.code: round(item.scale.low + step * item.scale.step, 6)}
            form = {"instrument": instrument.key, "rater": instrument.raters[0], "items": answers}
            event = {**rating(), "rating": form}
            taken, careful = quick.read(event, RECEIVING), by_contract(event)
            if taken is not None:
                same(taken, careful)
            assert (taken is None) == (careful is None)


@given(st.data())
def test_it_accepts_nothing_that_the_contract_refuses(data: st.DataObject) -> None:
    """One or two odd values anywhere: it is left to the contract, or both make the same of it."""
    event = copy.deepcopy(data.draw(st.sampled_from(PLAIN)))
    for _ in range(data.draw(st.integers(1, 2))):
        places = list(_places(event))
        where, name = data.draw(st.sampled_from(places))
        value = data.draw(st.sampled_from(ODD) | st.text() | st.floats() | st.integers())
        where[name] = copy.deepcopy(value)
    taken = quick.read(event, RECEIVING)
    if taken is not None:
        same(taken, by_contract(event))


def _places(event: dict[str, Any]) -> Iterator[tuple[dict[Any, Any], str]]:
    yield from ((event, name) for name in (*event, "version", "starts_at", "episode", "odd", "cancelled_by", "rating"))
    form = event.get("rating")
    if isinstance(form, dict):
        yield from ((form, name) for name in (*form, "rater", "total", "seconds_to_complete", "odd"))
        items = form.get("items")
        yield from ((items, name) for name in (*items, "q2", "odd")) if isinstance(items, dict) else ()


@given(st.text())
@example("a|b|c")
def test_ids_are_the_librarys_own(name: str) -> None:
    """Made in C or by the library, an id is the same: as a value, as a key, in text, in JSON, in bytes."""
    ours, theirs = named(name), uuid.uuid5(FACTS, name)
    assert isinstance(ours, uuid.UUID)
    assert (ours, str(ours), ours.bytes, ours.version) == (theirs, str(theirs), theirs.bytes, 5)
    assert {ours: 1}[theirs] == {theirs: 1}[ours] == 1
    assert sorted((ours, uuid.UUID(int=0))) == sorted((theirs, uuid.UUID(int=0)))
    assert json.loads(msgspec.json.encode(ours)) == str(theirs)
