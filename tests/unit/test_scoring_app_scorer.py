"""One bad fact is set aside and remembered; everything around it is taken in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from schemas import codec, events
from schemas.topics import ALLIANCE_SCORES
from services.platform.dead_letters import TooManyDeadLetters
from services.scoring import scorer, state
from services.scoring.handlers import Conclusions, on_facts
from services.scoring.state import Held, UnknownLayout
from tests.scoring_facts import Bench, as_record, caseload, consumed, latest, undisturbed

FACTS = caseload(seed=21, clients=1, sessions=6)


def poisoned_by(fact_id: UUID) -> Any:  # noqa: ANN401 - a stand-in for a detector with a fault
    """The real handler, with a detector that stumbles over one fact."""

    def stumble(config: Any, held: Held | None, facts: Sequence[Any]) -> tuple[Held, Conclusions]:  # noqa: ANN401
        if any(fact.fact_id == str(fact_id) for fact in facts):
            raise ZeroDivisionError
        return on_facts(config, held, facts)

    return stumble


def said_of(bench: Bench) -> list[Any]:
    return [codec.decode(ALLIANCE_SCORES, record.value) for record in bench.said]


def test_an_exception_sets_one_fact_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fact a detector stumbles over is a dead letter with the error's name; all others are taken in."""
    bad = FACTS[5]
    bench = Bench()
    monkeypatch.setattr(scorer, "on_facts", poisoned_by(bad.fact_id))
    bench.take([as_record(fact, offset) for offset, fact in enumerate(FACTS)])
    (dead,) = bench.dead
    about = dict(dead.headers)
    assert (about["dl_code"], about["dl_reason"], about["dl_offset"]) == (b"unprocessable", b"ZeroDivisionError", b"5")
    assert dead.value == codec.encode_fact(bad).value
    answered = {cause for said in said_of(bench) if isinstance(said, events.EpisodeSnapshot) for cause in said.causes}
    assert answered == {fact.fact_id for fact in FACTS} - {bad.fact_id}


def test_an_episode_says_that_it_is_incomplete_until_the_fact_is_taken_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a dead letter conclusions say so; once it is taken in they no longer do, and equal a clean run's."""
    bad = FACTS[5]
    bench = Bench()
    with monkeypatch.context() as broken:
        broken.setattr(scorer, "on_facts", poisoned_by(bad.fact_id))
        bench.take([as_record(bad)])
        bench = bench.restarted()
        bench.take([as_record(fact) for fact in FACTS if fact is not bad])
    assert all(said.incomplete for said in said_of(bench))
    bench = bench.restarted()
    bench.take([as_record(bad)])
    assert not said_of(bench)[-1].incomplete
    bench.take([as_record(fact) for fact in FACTS])
    assert latest(record.value for record in bench.said if record.value) == undisturbed(FACTS)


def test_a_state_that_cannot_be_read_blocks_its_episode_only() -> None:
    """Bytes in the table that are no state: that episode's facts are set aside, another client's are scored."""
    bench = Bench()
    bench.table[wire_key(FACTS[0])] = b"not a state"
    other = caseload(seed=22, clients=1, sessions=2)
    bench.take([as_record(FACTS[0]), *(as_record(fact) for fact in other)])
    assert [dict(dead.headers)["dl_code"] for dead in bench.dead] == [b"unreadable-state"]
    assert bench.table[wire_key(FACTS[0])] == b"not a state"
    assert len(bench.said) > 0


def wire_key(fact: events.Fact) -> bytes:
    return f"{fact.tenant_id}:{fact.client_id}:{fact.episode_id}".encode()


def test_a_layout_from_the_future_is_refused() -> None:
    """A state written by a newer service is never taken for one of ours."""
    bench = Bench()
    bench.take([as_record(FACTS[0])])
    (encoded,) = bench.table.values()
    assert encoded is not None
    with pytest.raises(UnknownLayout):
        state.decode(encoded.replace(bytes([state.LAYOUT]), bytes([state.LAYOUT + 1]), 1))


def test_facts_about_the_client_are_set_aside_until_they_are_acted_upon() -> None:
    """Erasure waits for its turn: a dead letter that can be retried, and no made-up answer."""
    bench = Bench()
    value = json.loads(codec.encode_fact(FACTS[0]).value) | {"type": "client.erased"}
    bench.take([consumed(b"t:c", json.dumps(value).encode())])
    assert [dict(dead.headers)["dl_code"] for dead in bench.dead] == [b"unsupported"]
    assert not bench.said
    assert not bench.table


@pytest.mark.parametrize("header", [("ce_type", None), ("ce_type", b"\xff"), ("ce_id", None), ("dl_attempt", b"seven")])
def test_headers_of_somebody_else_stop_no_partition(header: tuple[str, Any]) -> None:
    """Bytes without a key, with headers that no writer of ours makes: a dead letter, and what follows is scored."""
    bench = Bench()
    bench.take([consumed(None, b"\x00", [header]), as_record(FACTS[0])])
    assert [dict(dead.headers)["dl_code"] for dead in bench.dead] == [b"undecodable"]
    assert len(bench.said) > 0


def test_when_most_is_bad_the_service_stops() -> None:
    """A deploy bug must not drain the topic into the dead letters."""
    bench = Bench()
    with pytest.raises(TooManyDeadLetters):
        bench.take([consumed(b"t:c", b"{}")] * 60)
