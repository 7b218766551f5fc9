"""The mirror of scoring's contract: every field of it, nothing that it refuses, the same of what both accept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from typing import Any, get_args, get_type_hints
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from schemas import codec, events
from schemas.errors import ContractError
from schemas.topics import ALLIANCE_SCORES
from services.alerts.adapters import mirror
from tests.alerts_records import START, reading, snapshot, withdrawn
from tests.scoring_facts import Bench, as_record, caseload

ODD: list[Any] = [
    None, True, False, 0, 1, -1, 1.0, 1.5, 2, 10**30, "", "x", "1", "NaN", "true", "open", "reading", "srs@3", "SRS@3",
    "a" * 70 + "@1", [], {}, [None], [1.5], ["x"], {"a": None}, {"a": 1}, {"a": "x"}, "2026-01-01T10:00:00",
    "2026-01-01T10:00:00Z", "2026-01-01T10:00:00.123456+01:00", "2026-01-01 10:00:00Z", "2026-01-01", 1767261600,
    "00000000-0000-0000-0000-00000000000A", "0" * 32, "{00000000-0000-0000-0000-00000000000a}", float("nan"),
    float("inf"), 1e308,
]  # fmt: skip
RAW = [b"1e999", b"-0", b"1E2", b"01", b".5", b"NaN", b"Infinity", b'"\\ud800"', b'"\\u0000"', b'"\xff"', b"[" * 300]


@cache
def said() -> tuple[bytes, ...]:
    """What the scorer says of some clients, and what the tests of alerts say."""
    bench = Bench()
    bench.take([as_record(fact) for fact in caseload(seed=43, clients=3, sessions=8)])
    made = [
        each.model_dump_json().encode() for each in (reading(1, 30.0), snapshot(), foretold(), withdrawn(2, facts=4))
    ]
    return (*made, *(record.value for record in bench.said if record.value is not None))


def foretold() -> events.EpisodeSnapshot:
    seen = events.DropoutForecast(
        session_id=UUID(int=3),
        session_number=3,
        at=START,
        next=0.2,
        within_three=0.4,
        line=0.3,
        since=UUID(int=2),
        otherwise=0.1,
        contributions={"session": -2.0, "missed": 0.4},
        reason="missed appointments",
    )
    return snapshot(dropout=seen, dropout_hazard=0.2)


def contract(value: bytes) -> Any:  # noqa: ANN401 - any conclusion
    return codec.decode(ALLIANCE_SCORES, value)


def test_what_scoring_says_is_stored_as_the_contract_has_it() -> None:
    """Every conclusion of a caseload, read by the mirror alone and written out, is the same to the contract."""
    assert {type(mirror.decode(value)) for value in said()} == set(get_args(mirror.Conclusion))
    for value in said():
        assert contract(mirror.text(mirror.decode(value)).encode()) == contract(value)


@pytest.mark.parametrize("name", ["EpisodeSnapshot", "Reading", "ReadingWithdrawn"])
def test_the_mirror_has_every_field_of_the_contract(name: str) -> None:
    """A field that the contract gains and the mirror does not would be lost on the way to the pages."""
    assert dict(_missing(getattr(events, name), getattr(mirror, name))) == {}


def _missing(model: type[BaseModel], struct: type[msgspec.Struct]) -> Iterator[tuple[str, set[str]]]:
    lacks = set(model.model_fields) - {*struct.__struct_fields__, "type"}
    if lacks:
        yield model.__name__, lacks
    for inner in _inner(get_type_hints(model)):
        yield from _missing(inner, getattr(mirror, inner.__name__))


def _inner(hint: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - a type, or types
    for each in hint.values() if isinstance(hint, dict) else get_args(hint):
        if isinstance(each, type) and issubclass(each, BaseModel):
            yield each
        else:
            yield from _inner(each)


@given(st.data())
def test_it_accepts_nothing_that_the_contract_refuses(data: st.DataObject) -> None:
    """One odd value anywhere: either the mirror leaves it to the contract, or both say the same of it."""
    document = json.loads(data.draw(st.sampled_from(said())))
    places = list(_places(document))
    parent, key = data.draw(st.sampled_from(places))
    if data.draw(st.booleans()):
        parent[key] = data.draw(st.sampled_from(ODD))
        _agree(json.dumps(document).encode())
    else:
        parent[key] = "here"
        _agree(json.dumps(document).encode().replace(b'"here"', data.draw(st.sampled_from(RAW))))
    if isinstance(parent, dict):
        del parent[key]
        _agree(json.dumps(document).encode())


def _places(node: Any) -> Iterator[tuple[Any, Any]]:  # noqa: ANN401 - JSON
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        yield node, key
        if isinstance(value, dict | list):
            yield from _places(value)


def _agree(value: bytes) -> None:
    try:
        mirrored = mirror.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    assert contract(mirror.text(mirrored).encode()) == contract(value)


@pytest.mark.parametrize("value", [None, b"", b"{", b"[" * 5_000, b'{"type":"reading"}', b'{"type":"other"}', b"\xff"])
def test_what_neither_accepts_is_refused_in_the_contracts_words(value: bytes | None) -> None:
    """The dead letter says what the contract says."""
    with pytest.raises(ContractError) as theirs:
        codec.decode(ALLIANCE_SCORES, value)
    with pytest.raises(ContractError) as ours:
        mirror.read(value)
    assert (ours.value.code, ours.value.reason) == (theirs.value.code, theirs.value.reason)


def test_what_only_the_contract_accepts_is_taken_in_all_the_same() -> None:
    """A time written otherwise, which the contract reads: it is stored as the contract has it."""
    document = json.loads(snapshot().model_dump_json())
    value = json.dumps(document | {"known_at": "2026-01-31T10:00Z"}).encode()
    with pytest.raises(msgspec.DecodeError):
        mirror.decode(value)
    assert mirror.read(value) == (mirror.of(contract(value)), mirror.text(mirror.of(contract(value))))


def test_only_what_is_finer_than_a_microsecond_is_read_otherwise() -> None:
    """The mirror rounds where the contract cuts; nobody of ours writes such a time."""
    document = json.loads(snapshot().model_dump_json())
    value = json.dumps(document | {"known_at": "2026-01-31T10:00:00.123456789Z"}).encode()
    assert mirror.decode(value).known_at - contract(value).known_at == timedelta(microseconds=1)
