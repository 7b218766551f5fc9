"""What scoring publishes is a function of the set of facts: order, repeats, chunks and restarts do not matter."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import codec, events
from schemas.topics import ALLIANCE_SCORES
from services.scoring import state
from tests.scoring_facts import Bench, as_record, caseload, latest, undisturbed


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[events.Fact], list[list[events.Fact]]]:
    """A history of two clients, and one way in which it may arrive: shuffled, repeated, cut anywhere."""
    history = caseload(draw(st.integers(0, 10_000)), clients=2, sessions=draw(st.integers(1, 8)))
    repeats = draw(st.lists(st.sampled_from(history), max_size=8))
    arriving = draw(st.permutations([*history, *repeats]))
    cuts = sorted(draw(st.sets(st.integers(1, len(arriving)), max_size=6)) | {len(arriving)})
    return history, [arriving[start:end] for start, end in zip([0, *cuts], cuts, strict=False)]


@settings(max_examples=100, deadline=None)
@given(delivery=deliveries())
def test_any_order_any_repeats_any_cut_publishes_the_same_readings(
    delivery: tuple[list[events.Fact], list[list[events.Fact]]],
) -> None:
    """Any permutation with any duplication, cut and resumed from the encoded table: the same latest readings."""
    history, chunks = delivery
    bench = Bench()
    for chunk in chunks:
        bench.take([as_record(fact) for fact in chunk])
        bench = bench.restarted()
    assert latest(record.value for record in bench.said if record.value) == undisturbed(history)


@settings(max_examples=60, deadline=None)
@given(delivery=deliveries())
def test_every_fact_is_answered_in_every_chunk_it_comes_in(
    delivery: tuple[list[events.Fact], list[list[events.Fact]]],
) -> None:
    """Each chunk's snapshots name exactly the facts of that chunk, repeats of earlier chunks included."""
    _, chunks = delivery
    bench = Bench()
    for chunk in chunks:
        scored = bench.take([as_record(fact) for fact in chunk])
        said = [codec.decode(ALLIANCE_SCORES, record.value) for record in scored.scores]
        causes = [cause for each in said if isinstance(each, events.EpisodeSnapshot) for cause in each.causes]
        assert sorted(causes) == sorted({fact.fact_id for fact in chunk})


@settings(max_examples=60, deadline=None)
@given(delivery=deliveries(), data=st.data())
def test_an_answer_that_was_lost_can_be_had_again(
    delivery: tuple[list[events.Fact], list[list[events.Fact]]], data: st.DataObject
) -> None:
    """A repeated fact that counts for its rating brings its reading again, equal to what stands."""
    history, _ = delivery
    bench = Bench()
    bench.take([as_record(fact) for fact in history])
    standing = latest(record.value for record in bench.said if record.value)
    repeated = data.draw(st.sampled_from(history))
    scored = bench.take([as_record(repeated)])
    again = latest(record.value for record in scored.scores if record.value)
    assert all(standing[rating] == reading for rating, reading in again.items())
    if repeated.record_id in standing and _counts(repeated, history):
        assert repeated.record_id in again


def _counts(fact: events.Fact, history: list[events.Fact]) -> bool:
    versions: dict[UUID, int] = {}
    for each in history:
        versions[each.record_id] = max(each.version, versions.get(each.record_id, 0))
    return isinstance(fact, events.RatingFact) and fact.version == versions[fact.record_id]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), sessions=st.integers(1, 12))
def test_a_state_survives_its_encoding(seed: int, sessions: int) -> None:
    """Decoding what was encoded gives the same state, and encoding that the same bytes."""
    bench = Bench()
    bench.take([as_record(fact) for fact in caseload(seed, 1, sessions)])
    (encoded,) = bench.table.values()
    assert encoded is not None
    assert state.encode(state.decode(encoded)) == encoded
