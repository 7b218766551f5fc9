"""The door's pure core: whatever is sent has a defined meaning or named faults."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given
from hypothesis import strategies as st

from services.ingest import strict_json
from services.ingest.draft import Draft, Receiving
from services.ingest.envelopes import from_binary, plain
from services.ingest.episodes import Course, Courses
from services.ingest.handlers import read
from services.platform import auth
from services.platform.vault import Vault, VaultKeys
from tests.clinic import rating

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
RECEIVING = Receiving(UUID(int=1), NOW, "wall", timedelta(days=14))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_a_value_or_refused(body: bytes) -> None:
    """Nothing but a value or BadJson comes out, and a refusal does not quote."""
    try:
        strict_json.decode(body)
    except strict_json.BadJson as error:
        assert len(str(error)) < 80  # noqa: PT017 - either way is right


@pytest.mark.parametrize("depth", [34, 1_000, 200_000])
def test_depth_has_an_end(depth: int) -> None:
    """However deep, it is refused, and never by a crash."""
    with pytest.raises(strict_json.BadJson, match="deeper"):
        strict_json.decode(b"[" * depth + b"]" * depth)


@given(st.dictionaries(st.sampled_from([*rating(), "version", "starts_at", "reason"]) | st.text(), JSON) | JSON)
def test_any_json_is_a_draft_or_faults(value: Any) -> None:  # noqa: ANN401 - JSON
    """An event changed anywhere into anything is read, or each fault says what was expected."""
    event = {**rating(), **value} if isinstance(value, dict) else value
    found = read(plain(event), RECEIVING)
    if not isinstance(found, Draft):
        assert found
        assert all(fault.expected for fault in found)


@given(st.text(min_size=12).filter(lambda text: not text.isspace()))
def test_a_fault_never_repeats_a_value(value: str) -> None:
    """Sent as a time, a type or an unknown field's value, it does not come back."""
    secret = f"canary{value}"
    for event in ({**rating(), "occurred_at": secret}, {**rating(), "type": secret}, {**rating(), "odd": secret}):
        found = read(event, RECEIVING)
        assert not isinstance(found, Draft)
        assert "canary" not in repr(found)


@pytest.mark.parametrize(
    ("slip", "pointer", "expected"),
    [
        ({"type": "rating.submited"}, "/type", "one of rating.submitted, rating.amended, "),
        ({"clinican": "T-1"}, "/clinican", "no such field; clinician?"),
        (
            {"rating": {"instrument": "srs@3", "total": 30.0, "rator": "client"}},
            "/rating/rator",
            "no such field; rater?",
        ),
        ({"zzz": 1}, "/zzz", "no such field; there are id, source, "),
    ],
)
def test_a_slip_is_told_with_what_was_perhaps_meant(slip: dict[str, Any], pointer: str, expected: str) -> None:
    """Whoever misspells a field or a type is told which there are, at its place."""
    found = read({**rating(), **slip}, RECEIVING)
    assert not isinstance(found, Draft)
    assert [(fault.pointer, str(fault.expected)[: len(expected)]) for fault in found] == [(pointer, expected)]


def test_cloud_events_are_the_plain_event() -> None:
    """Structured and binary forms flatten to the same fields."""
    attributes = {"specversion": "1.0", "id": "r1", "type": "attune.rating.submitted.v1", "subject": "c"}
    data = {"rating": {"instrument": "srs@3", "total": 30.0}}
    wanted = {"id": "r1", "client": "c", "type": "rating.submitted", **data}
    assert plain({**attributes, "data": data}) == wanted
    assert from_binary({f"ce-{name}": value for name, value in attributes.items()}, data) == wanted


def token(*parts: str) -> UUID:
    return uuid5(NAMESPACE_OID, "|".join(parts))


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_one_course_of_care_is_one_episode_in_any_order(order: tuple[int, ...]) -> None:
    """A client's posts with and without the episode's reference land together, whichever comes first."""
    client, reference = UUID(int=7), UUID(int=8)
    posts = [(reference, "episode.opened"), (None, "rating.submitted"), (reference, "session.attended"), (None, "x")]
    courses = Courses(token)
    placed = {
        courses.place(client, posts[number][0], posts[number][1], NOW + timedelta(days=number)) for number in order
    }
    assert len(placed) == 1


def test_a_closed_episode_keeps_its_own_past() -> None:
    """A late rating without a reference goes to the episode that was open then."""
    client = UUID(int=7)
    first = Course(UUID(int=1), client, UUID(int=11), implicit=False, opened_at=NOW, closed_at=NOW + timedelta(days=90))
    second = Course(UUID(int=2), client, UUID(int=12), implicit=False, opened_at=NOW + timedelta(days=200))
    courses = Courses(token)
    courses.load([first, second])
    assert courses.place(client, None, "rating.submitted", NOW + timedelta(days=30)) == first.episode_id
    assert courses.place(client, None, "rating.submitted", NOW + timedelta(days=210)) == second.episode_id


@given(st.text())
def test_only_a_whole_key_has_a_prefix(text: str) -> None:
    """Whatever is presented, only a key with its check is looked up."""
    prefix, key = auth.new_key()
    assert auth.prefix_of(key) == prefix
    assert auth.prefix_of(text) is None
    assert auth.prefix_of(key[:-1] + ("0" if key[-1] != "0" else "1")) is None
    assert auth.prefix_of(key + "\n") is None


@given(st.text())
def test_a_moved_ciphertext_does_not_open(reference: str) -> None:
    """What was sealed for one row opens there and nowhere else."""
    try:
        reference.encode()
    except UnicodeEncodeError:
        return
    vault = Vault(VaultKeys(b"e" * 32, b"i" * 32))
    tenant, surrogate = UUID(int=1), UUID(int=2)
    sealed = vault._encrypt(tenant, surrogate, "client", reference)
    assert vault._decrypt(tenant, surrogate, "client", sealed) == reference
    for elsewhere in ((UUID(int=9), surrogate, "client"), (tenant, UUID(int=9), "client"), (tenant, surrogate, "x")):
        with pytest.raises(InvalidTag):
            vault._decrypt(*elsewhere, sealed)
