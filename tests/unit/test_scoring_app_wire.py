"""The fast decoder and the contract judge alike, and what scoring writes is what the contract reads."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import codec, events
from schemas.errors import ContractError
from schemas.topics import ALLIANCE_SCORES, SESSION_EVENTS
from services.scoring import wire
from services.scoring.domain.facts import Rating
from tests.scoring_facts import Bench, as_record, caseload

FACTS = [
    fact.model_dump(mode="json")
    for fact in {type(each): each for each in caseload(seed=3, clients=6, sessions=12)}.values()
]
ODD: tuple[Any, ...] = (
    *(None, "", "x", 0, 1, 1.0, 1.5, -1, True, [], {}, 1e308),
    *(
        "2026-01-05T09:00:00",
        "2026-01-05T09:00:00Z",
        "2026-01-05 09:00:00+01:00",
        "2026-13-01T00:00:00Z",
        1_700_000_000,
    ),
    *("srs@3", "SRS@3", "srs@3\n", "client", "wall", "rating.submitted", "client.erased", "no.such-type"),
    *(
        "a8098c1af86e11dabd1a00112444be1e",
        "A8098C1A-F86E-11DA-BD1A-00112444BE1E",
        "a8098c1a-f86e-11da-bd1a-00112444be1e",
    ),
    *({"overall": 9}, {"overall": None}, {"overall": "9"}, {"overall": True}),
)


def verdict(value: bytes) -> str:
    """What the contract says: a code, or nothing."""
    try:
        codec.decode(SESSION_EVENTS, value)
    except ContractError as error:
        return error.code
    return ""


def ours(value: bytes) -> str:
    try:
        wire.decode(value, ())
    except ContractError as error:
        return error.code
    return ""


@settings(max_examples=600, deadline=None)
@given(fact=st.sampled_from(FACTS), data=st.data())
def test_both_decoders_judge_alike(fact: dict[str, Any], data: st.DataObject) -> None:
    """One field missing, added or odd: refused by both with one code, or accepted by both."""
    names = [*fact, "total", "seconds_to_complete", "unheard_of", "starts_at"]
    name = data.draw(st.sampled_from(names))
    changed = {key: value for key, value in fact.items() if key != name}
    if data.draw(st.booleans()):
        changed[name] = data.draw(st.sampled_from(ODD))
    value = json.dumps(changed).encode()
    assert ours(value) == verdict(value)


@pytest.mark.parametrize(
    "value",
    [b"", b"{}", b"[]", b"null", b"\xff", b'{"type": "rating.submitted"', b'{"total": NaN}', b'{"a":' * 500],
)
def test_what_is_no_event_is_refused_alike(value: bytes) -> None:
    """Not JSON, not an object, cut off, absurdly deep: one code from both."""
    assert ours(value) == verdict(value) != ""


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "1e999"])
def test_no_number_that_is_none_gets_in(literal: str) -> None:
    """NaN and infinities are refused, as the contract refuses them."""
    rating = next(fact for fact in FACTS if fact["type"] == "rating.submitted")
    value = json.dumps(rating | {"total": 0.5}).replace('"total": 0.5', f'"total": {literal}').encode()
    assert ours(value) == verdict(value) == "undecodable"


def test_a_fact_reaches_the_domain_whole() -> None:
    """Every field that the contract has arrives, times exact to the microsecond."""
    rating = next(fact for fact in caseload(3, 6, 12) if isinstance(fact, events.RatingSubmitted))
    fact = wire.to_domain(wire.decode(codec.encode_fact(rating).value, ()))
    assert (fact.fact_id, fact.record_id, fact.version) == (str(rating.fact_id), str(rating.record_id), 1)
    assert wire.moment(fact.occurred_at) == rating.occurred_at
    assert wire.moment(fact.recorded_at) == rating.recorded_at
    assert (fact.session_id, fact.clinician_id) == (str(rating.session_id), str(rating.clinician_id))
    assert fact.rating == Rating("srs@3", "client", rating.items)


def test_what_is_written_is_what_the_contract_says() -> None:
    """Each message validates, holds exactly the contract's fields, and names itself in its headers."""
    bench = Bench()
    bench.take([as_record(fact) for fact in caseload(seed=8, clients=8, sessions=12)])
    kinds = set()
    for record in bench.said:
        said = codec.decode(ALLIANCE_SCORES, record.value, record.headers)
        assert json.loads(record.value or b"") == json.loads(said.model_dump_json())
        assert dict(record.headers)["ce_type"].decode() == codec.ce_type(said)
        kinds.add(said.type)
    assert kinds == {"episode.snapshot", "reading", "reading.withdrawn"}
    assert len({dict(record.headers)["ce_id"] for record in bench.said}) == len(bench.said)
