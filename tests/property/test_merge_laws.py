"""A merged client is as one to whom everything had always been posted; the other says nothing any more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import codec, events
from schemas.merged import record_in
from schemas.topics import ALLIANCE_SCORES, SESSION_EVENTS
from services.ingest.episodes import Course
from services.ingest.merged import Held, copied, homes
from tests.scoring_facts import Bench, as_record, caseload, latest, undisturbed

MERGE = UUID(int=17)
WHOSE = ("tenant_id", "client_id", "episode_id", "occurred_at", "recorded_at")
Chunks = Sequence[Sequence[events.Fact]]


def one_course(facts: Sequence[events.Fact]) -> Course:
    return Course(facts[0].episode_id, facts[0].client_id, None, implicit=True, facts=len(facts))


def copies(loser: Sequence[events.Fact], survivor: Sequence[events.Fact]) -> list[events.Fact]:
    """The loser's facts as the door publishes them under the survivor."""
    home = homes(MERGE, survivor[0].client_id, [one_course(loser)], [one_course(survivor)])[loser[0].episode_id]
    held = [Held(f.fact_id, f.record_id, f.version, f.record_id, f.episode_id, "", 0, value(f)) for f in loser]
    return [codec.decode(SESSION_EVENTS, copied(MERGE, each, home)[1]) for each in held]


def value(fact: events.Fact) -> bytes:
    return codec.encode_fact(fact).value


def away(loser: Sequence[events.Fact], into: UUID, *, version: int = 1) -> events.Fact:
    """That the loser was merged away; its second version that she was not."""
    last = max(loser, key=lambda fact: fact.recorded_at)
    about: dict[str, Any] = {name: getattr(last, name) for name in WHOSE}
    ids: dict[str, Any] = {"fact_id": UUID(int=100 + version), "record_id": UUID(int=100), "version": version}
    if version == 1:
        return events.ClientMergedAway(**about, **ids, survivor_id=UUID(int=2), survivor_episode_id=into)
    return events.ClientUnmerged(**about, **ids)


@st.composite
def two(draw: st.DrawFn) -> tuple[list[events.Fact], list[events.Fact]]:
    """The facts of two clients, a loser's and a survivor's."""
    history = caseload(draw(st.integers(0, 10_000)), clients=2, sessions=draw(st.integers(1, 8)))
    loser = history[0].client_id
    own = [fact for fact in history if fact.client_id == loser]
    return own, [fact for fact in history if fact.client_id != loser]


def cut(draw: st.DataObject, facts: Sequence[events.Fact]) -> Chunks:
    """In any order, with repeats, in any chunks."""
    repeats = draw.draw(st.lists(st.sampled_from(facts), max_size=6))
    arriving = draw.draw(st.permutations([*facts, *repeats]))
    cuts = sorted(draw.draw(st.sets(st.integers(1, len(arriving)), max_size=5)) | {len(arriving)})
    return [arriving[start:end] for start, end in zip([0, *cuts], cuts, strict=False)]


def said(chunks: Chunks) -> Bench:
    """By a worker that is killed after every chunk."""
    bench = Bench()
    for chunk in chunks:
        bench.take([as_record(fact) for fact in chunk])
        bench = bench.restarted()
    assert not bench.dead
    return bench


def readings(bench: Bench) -> dict[UUID, dict[str, Any]]:
    return latest(record.value for record in bench.said if record.value)


def snapshot(bench: Bench) -> events.EpisodeSnapshot:
    """What was said last of the one episode."""
    told = [codec.decode(ALLIANCE_SCORES, record.value) for record in bench.said]
    return max(
        (each for each in told if isinstance(each, events.EpisodeSnapshot)), key=lambda each: each.revision.facts
    )


@settings(max_examples=40, deadline=None)
@given(both=two(), data=st.data())
def test_the_survivor_is_as_if_all_had_been_posted_to_her(
    both: tuple[list[events.Fact], list[events.Fact]], data: st.DataObject
) -> None:
    """Copies and own facts in any order: the readings of one client to whom all was posted, but for the names."""
    loser, survivor = both
    episode = survivor[0].episode_id
    whose = {"client_id": survivor[0].client_id, "episode_id": episode}
    always = [fact.model_copy(update=whose) for fact in loser]
    found = readings(said(cut(data, [*survivor, *copies(loser, survivor)])))
    should = undisturbed([*survivor, *always])
    renamed = {fact.record_id: record_in(episode, fact.record_id) for fact in loser}
    assert found == {renamed.get(name, name): _renamed(reading, renamed) for name, reading in should.items()}


def _renamed(reading: dict[str, Any], names: dict[UUID, UUID]) -> dict[str, Any]:
    whole = {"client_id": reading["client_id"], "rating_id": names.get(reading["rating_id"], reading["rating_id"])}
    return {**reading, **whole}


@settings(max_examples=40, deadline=None)
@given(both=two(), data=st.data())
def test_whoever_was_merged_away_says_nothing(
    both: tuple[list[events.Fact], list[events.Fact]], data: st.DataObject
) -> None:
    """In whatever order it becomes known: no reading stands, the episode is closed and says where its facts are."""
    loser, survivor = both
    into = survivor[0].episode_id
    bench = said(cut(data, [*loser, away(loser, into)]))
    assert readings(bench) == {}
    last = snapshot(bench)
    assert (last.status, last.merged_into, last.ratings) == ("closed", into, 0)
    assert last.owner_id == loser[0].clinician_id, "its alerts would lose whoever has to hear of it"


@settings(max_examples=40, deadline=None)
@given(both=two(), data=st.data())
def test_a_merge_taken_back_leaves_no_trace(
    both: tuple[list[events.Fact], list[events.Fact]], data: st.DataObject
) -> None:
    """The loser's readings are those of somebody who was never merged, in whatever order it becomes known."""
    loser, survivor = both
    into = survivor[0].episode_id
    bench = said(cut(data, [*loser, away(loser, into), away(loser, into, version=2)]))
    assert readings(bench) == undisturbed(loser)
    assert snapshot(bench).merged_into is None


@settings(max_examples=40, deadline=None)
@given(both=two(), data=st.data())
def test_masked_copies_leave_no_trace(both: tuple[list[events.Fact], list[events.Fact]], data: st.DataObject) -> None:
    """The survivor's readings are her own again once every copy is masked, in whatever order that becomes known."""
    loser, survivor = both
    made = copies(loser, survivor)
    masks = [_mask(number, copy) for number, copy in enumerate(made)]
    assert readings(said(cut(data, [*survivor, *made, *masks]))) == undisturbed(survivor)


def _mask(number: int, copy: events.Fact) -> events.Fact:
    about: dict[str, Any] = {name: getattr(copy, name) for name in WHOSE}
    own = UUID(int=1_000 + number)
    return events.FactDropped(**about, fact_id=own, record_id=own, dropped_fact_id=copy.fact_id)


@settings(max_examples=20, deadline=None)
@given(both=two())
def test_what_a_merge_says_can_be_had_again(both: tuple[list[events.Fact], list[events.Fact]]) -> None:
    """The fact alone, once more, after its answers were lost: every reading is withdrawn, or told, again."""
    loser, survivor = both
    gone = away(loser, survivor[0].episode_id)
    bench = Bench()
    bench.take([as_record(fact) for fact in loser])
    told = list(bench.said)
    bench.take([as_record(gone)])
    again = bench.take([as_record(gone)])
    assert latest([record.value for record in (*told, *again.scores) if record.value]) == {}
    back = away(loser, survivor[0].episode_id, version=2)
    bench.take([as_record(back)])
    again = bench.take([as_record(back)])
    assert latest([record.value for record in again.scores if record.value]) == undisturbed(loser)
