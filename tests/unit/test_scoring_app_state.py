"""What the table holds of an episode survives the releases that wrote it."""

from __future__ import annotations

from pathlib import Path

from schemas import codec
from services.scoring import state, wire
from services.scoring.domain.config import DEFAULT
from services.scoring.domain.facts import Fact
from services.scoring.handlers import on_facts
from tests.scoring_facts import caseload

GOLDEN = Path(__file__).parent / "golden"


def domain_facts() -> list[Fact]:
    """The facts that the golden state was made of."""
    records = map(codec.encode_fact, caseload(seed=31, clients=1, sessions=4))
    return [wire.to_domain(wire.decode(record.value, record.headers)) for record in records]


def test_a_state_of_the_first_release_is_taken_on() -> None:
    """Bytes written by the first layout hold the same facts, and what is said of them is said again."""
    held = state.decode((GOLDEN / "episode-layout-1.msgpack").read_bytes())
    assert list(held.episode.facts.values()) == domain_facts()
    _, from_stored = on_facts(DEFAULT, held, domain_facts())
    _, from_nothing = on_facts(DEFAULT, None, domain_facts())
    assert from_stored.snapshot == from_nothing.snapshot
    assert sorted(each.rating_id for each in from_stored.readings) == sorted(
        each.rating_id for each in from_nothing.readings
    )


def test_a_state_comes_back_as_it_was() -> None:
    """Decoded, it is the state that was encoded, steps included; encoded again, the same bytes."""
    held, _ = on_facts(DEFAULT, None, domain_facts())
    assert state.decode(state.encode(held)) == held
    assert state.encode(state.decode(state.encode(held))) == state.encode(held)


def test_the_table_holds_little_more_than_the_facts() -> None:
    """A fact takes less than 420 bytes with everything made from it: names are not repeated in every row."""
    held, _ = on_facts(DEFAULT, None, domain_facts())
    assert len(state.encode(held)) < 420 * len(held.episode.facts)
