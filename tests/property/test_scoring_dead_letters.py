"""A fact that cannot be taken in, retried or dropped in whatever order: the end is the same, and complete."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from schemas import codec, events
from schemas.topics import ALLIANCE_SCORES
from services.scoring import scorer
from services.scoring.domain import series
from services.scoring.handlers import Conclusions, on_facts
from services.scoring.state import Held
from tests.scoring_facts import Bench, as_record, caseload, consumed, latest, undisturbed

LIMIT = 5_000
"""Most facts that the door lets into an episode."""
CHUNK = 200


def drop_of(fact: events.Fact) -> events.Fact:
    """The fact that another one never counts."""
    whose = {
        name: getattr(fact, name) for name in ("tenant_id", "client_id", "episode_id", "occurred_at", "recorded_at")
    }
    own = uuid.uuid5(uuid.NAMESPACE_URL, str(fact.fact_id))
    return events.FactDropped(fact_id=own, record_id=own, dropped_fact_id=fact.fact_id, **whose)


@contextmanager
def stumbling_over(fact: events.Fact) -> Iterator[None]:
    """While this lasts, a detector has a fault that one fact brings to light."""

    def stumble(config: Any, held: Held | None, facts: Sequence[Any]) -> tuple[Held, Conclusions]:  # noqa: ANN401
        after, said = on_facts(config, held, facts)
        if str(fact.fact_id) in after.episode.facts:
            raise ZeroDivisionError
        return after, said

    with pytest.MonkeyPatch.context() as patch, capture_logs():
        patch.setattr(scorer, "on_facts", stumble)
        yield


def standing(bench: Bench) -> dict[uuid.UUID, dict[str, Any]]:
    return latest(record.value for record in bench.said if record.value)


def snapshots(bench: Bench) -> list[events.EpisodeSnapshot]:
    said = [codec.decode(ALLIANCE_SCORES, record.value) for record in bench.said]
    return [each for each in said if isinstance(each, events.EpisodeSnapshot)]


@dataclass(frozen=True)
class Story:
    """A history, the fact in it that a fault strikes, and the chunks that arrive while the fault lasts."""

    history: list[events.Fact]
    victim: events.Fact
    chunks: list[list[events.Fact]]


@st.composite
def stories(draw: st.DrawFn) -> Story:
    history = caseload(draw(st.integers(0, 10_000)), clients=1, sessions=draw(st.integers(1, 8)))
    victim = draw(st.sampled_from(history))
    arriving = draw(st.permutations(history))
    cuts = sorted(draw(st.sets(st.integers(1, len(arriving)), max_size=5)) | {len(arriving)})
    return Story(history, victim, [arriving[a:b] for a, b in zip([0, *cuts], cuts, strict=False)])


@settings(max_examples=60, deadline=None)
@given(story=stories())
def test_a_retry_heals_what_stands(story: Story) -> None:
    """All that stands says `incomplete` while a fact is missing; that fact alone, sent again, makes all as if never."""
    bench = Bench()
    with stumbling_over(story.victim):
        for chunk in story.chunks:
            bench.take([as_record(fact) for fact in chunk])
            bench = bench.restarted()
    assert len(bench.dead) == 1
    assert all(reading["incomplete"] for reading in standing(bench).values())
    bench.take([as_record(story.victim)])
    assert standing(bench) == undisturbed(story.history)
    assert not snapshots(bench)[-1].incomplete


@settings(max_examples=100, deadline=None)
@given(story=stories(), data=st.data())
def test_a_drop_holds_in_whatever_order(story: Story, data: st.DataObject) -> None:
    """The fact, its death, its retry and the drop, in any order: it never counts, and the episode is complete."""
    drop = drop_of(story.victim)
    late = data.draw(st.permutations([[drop], [story.victim], [story.victim, drop]]))
    coming = [*story.chunks, *late]
    if data.draw(st.booleans(), label="the drop comes first"):
        coming.insert(0, [drop])
    healed = data.draw(st.integers(0, len(coming)), label="the fault is mended before chunk")
    bench = Bench()
    with stumbling_over(story.victim):
        for chunk in coming[:healed]:
            bench.take([as_record(fact) for fact in chunk])
    bench = bench.restarted()
    for chunk in coming[healed:]:
        bench.take([as_record(fact) for fact in chunk])
    kept = [fact for fact in story.history if fact is not story.victim]
    assert standing(bench) == undisturbed([*kept, drop])
    last = snapshots(bench)[-1]
    assert (last.incomplete, last.revision.facts) == (False, len(story.history) + 1)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), version=st.integers(2, 9))
def test_a_fact_of_a_version_unknown_here_is_missed_and_healed(seed: int, version: int) -> None:
    """A newer writer's fact says which it is: its episode is `incomplete` until this reader is rolled and it comes."""
    *history, victim = caseload(seed, clients=1, sessions=4)
    assume(undisturbed(history))  # something stands that can say so
    record = codec.encode_fact(victim)
    newer = record.value.replace(b'"schema_version":1', b'"schema_version":%d' % version)
    bench = Bench()
    bench.take([*(as_record(fact) for fact in history), consumed(record.key, newer, record.headers)])
    assert [dict(dead.headers)["dl_code"] for dead in bench.dead] == [b"unknown-version"]
    assert standing(bench)
    assert all(reading["incomplete"] for reading in standing(bench).values())
    bench.take([as_record(victim)])
    assert standing(bench) == undisturbed([*history, victim])


def test_a_record_under_anothers_key_marks_nobody() -> None:
    """What names an episode and lies under the key of somebody else is a dead letter, and no more."""
    first, *_ = caseload(seed=3, clients=1, sessions=1)
    newer = codec.encode_fact(first).value.replace(b'"schema_version":1', b'"schema_version":2')
    bench = Bench()
    bench.take([consumed(f"{first.tenant_id}:{uuid.uuid4()}".encode(), newer)])
    assert len(bench.dead) == 1
    assert not bench.table


@dataclass
class Steps:
    """How many ratings were folded: what work is, on any machine."""

    taken: int = 0


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    counted, fold = Steps(), series.step

    def counting(*arguments: Any) -> Any:  # noqa: ANN401 - whatever the fold takes
        counted.taken += 1
        return fold(*arguments)

    monkeypatch.setattr(series, "step", counting)
    return counted


def test_an_episode_of_five_thousand_facts_is_slow_not_dead(steps: Steps) -> None:
    """As many facts as the door lets in: each answered, none set aside, work linear; and so are another's beside it.

    A fact of it that cannot be taken in costs a few chunks' work, not the whole history again for each of its halves.
    """
    facts = caseload(seed=31, clients=1, sessions=2_500)[:LIMIT]
    others = caseload(seed=32, clients=1, sessions=20)
    ratings = sum(isinstance(fact, events.RatingFact) for fact in facts)
    bench = Bench()
    for number, start in enumerate(range(0, LIMIT - CHUNK, CHUNK)):
        chunk = facts[start : start + CHUNK]
        bench.take([as_record(fact) for fact in (*chunk, others[number])])
    assert steps.taken < 2 * ratings
    steps.taken = 0
    victim = facts[-7]
    with stumbling_over(victim):
        bench.take([as_record(fact) for fact in (*facts[-CHUNK:], others[-1])])
    assert [dict(dead.headers)["ce_id"].decode() for dead in bench.dead] == [str(victim.fact_id)]
    assert steps.taken < 2 * ratings
    answered = {cause for said in snapshots(bench) for cause in said.causes}
    sent = {fact.fact_id for fact in (*facts, *others[: LIMIT // CHUNK - 1], others[-1])}
    assert answered == sent - {victim.fact_id}
