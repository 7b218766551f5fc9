"""When dead letters stop a service, and when they must not."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.platform.dead_letters import DeadLetterLimit, Fault, TooManyDeadLetters

ONE, OTHER = str(uuid.uuid4()), str(uuid.uuid4())
CODES = st.sampled_from(["undecodable", "unprocessable"])


@given(codes=st.lists(CODES, max_size=300), good=st.integers(0, 300))
def test_one_tenant_alone_never_stops_the_others(codes: list[str], good: int) -> None:
    """Whatever one clinic sends, and however much of it: its letters are its own."""
    limit = DeadLetterLimit()
    limit.saw(good=good)
    for code in codes:
        limit.saw(bad=[Fault(code, ONE)])


def test_one_cause_across_tenants_is_a_stop() -> None:
    """A deploy that cannot read what it reads strikes everybody: stop, do not drain the topic."""
    limit = DeadLetterLimit(window=100, least=20)
    limit.saw(bad=[Fault("undecodable", ONE)] * 40)
    with pytest.raises(TooManyDeadLetters, match="undecodable"):
        limit.saw(bad=[Fault("undecodable", OTHER)])


def test_records_whose_tenant_nobody_can_tell_are_a_stop() -> None:
    """Bytes without a key of ours come from nowhere good."""
    with pytest.raises(TooManyDeadLetters):
        DeadLetterLimit(window=100, least=20).saw(bad=[Fault("undecodable", None)] * 21)


@given(order=st.permutations([Fault("undecodable", ONE)] * 12 + [Fault("unprocessable", OTHER)] * 12))
def test_different_causes_do_not_add_up(order: list[Fault]) -> None:
    """Two clinics with a fault each are two faults, not one of ours."""
    limit = DeadLetterLimit(window=100, least=20)
    limit.saw(bad=order)


def test_what_is_past_the_window_is_forgotten() -> None:
    """Good records wash old letters out."""
    limit = DeadLetterLimit(window=100, least=20)
    limit.saw(bad=[Fault("undecodable", ONE)] * 19)
    limit.saw(good=200)
    limit.saw(good=60, bad=[Fault("undecodable", OTHER)] * 19)
