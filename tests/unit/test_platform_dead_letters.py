"""When dead letters stop a service, and when they must not."""

from __future__ import annotations

import random
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.platform.dead_letters import (
    DeadLetterLimit,
    Fault,
    Origin,
    RawRecord,
    TooManyDeadLetters,
    dead_letter,
)

ONE, OTHER, THIRD = (str(uuid.UUID(int=number)) for number in (1, 2, 3))
CODES = st.sampled_from(["undecodable", "unprocessable"])


@given(
    codes=st.lists(CODES, max_size=200),
    strays=st.lists(st.builds(Fault, CODES, st.sampled_from([OTHER, THIRD, None])), max_size=9),
    order=st.randoms(use_true_random=False),
)
def test_a_flood_of_one_tenant_with_a_few_strays_of_others_is_no_stop(
    codes: list[str], strays: list[Fault], order: random.Random
) -> None:
    """A bad record here and there beside a clinic that sends nothing else: no cause of ours."""
    limit = DeadLetterLimit()
    arriving = [*(Fault(code, ONE) for code in codes), *strays]
    order.shuffle(arriving)
    limit.saw(bad=[Fault("undecodable", ONE)] * 200)
    for each in arriving:
        limit.saw(bad=[each])


@given(good=st.integers(0, 300), theirs=st.integers(10, 300), flood=st.integers(0, 400))
def test_two_tenants_are_a_stop_exactly_where_the_less_struck_is_mostly_bad(good: int, theirs: int, flood: int) -> None:
    """The flood of the one is left out: what the others sent must be bad by itself."""
    limit = DeadLetterLimit(window=2_000)
    limit.saw(good=good, bad=[Fault("undecodable", ONE)] * (theirs + flood))
    late = [Fault("undecodable", OTHER)] * theirs
    both = 2 * theirs + flood
    if theirs > 0.5 * (good + theirs) and both >= limit.least:
        with pytest.raises(TooManyDeadLetters):
            limit.saw(bad=late)
    else:
        limit.saw(bad=late)


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
        limit.saw(bad=[Fault("undecodable", OTHER)] * 10)


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


@pytest.mark.parametrize("content", [None, b"", b"seven", b"-1", b"9" * 40])
def test_headers_of_somebody_else_stop_nobody(content: bytes | None) -> None:
    """A record that brings a bad count of attempts, or none, is a first attempt."""
    record = RawRecord(None, b"", (("dl_attempt", content or b""),))
    letter = dead_letter(Origin("session-events", 0, 7), record, code="undecodable", reason="value: json_invalid")
    assert dict(letter.headers)["dl_attempt"] == b"1"


def test_attempts_count_on() -> None:
    """What was sent again and failed again says so; where it lay is the latest place, said once."""
    record = RawRecord(b"key", b"value", (("ce_id", b"1"),))
    first = dead_letter(Origin("session-events", 0, 7), record, code="unprocessable", reason="KeyError")
    second = dead_letter(Origin("session-events", 0, 9), first, code="unprocessable", reason="KeyError")
    names = [name for name, _ in second.headers]
    assert (dict(second.headers)["dl_attempt"], dict(second.headers)["dl_offset"]) == (b"2", b"9")
    assert len(names) == len(set(names))
    assert (second.key, second.value) == (b"key", b"value")
