"""An episode worked out anew: equal to what the road says, and whatever is turned by hand is found."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from schemas import codec, events
from services.alerts.domain.policy import DEFAULT
from services.alerts.domain.reconcile import Stored
from services.lab.recompute import ENVELOPE, Clinic, Difference, Standing, differences, recompute
from tests.scoring_facts import caseload, undisturbed

CLINIC = Clinic(clients=3, as_of=datetime.min.replace(tzinfo=UTC))


def episodes() -> dict[UUID, list[events.Fact]]:
    found: defaultdict[UUID, list[events.Fact]] = defaultdict(list)
    for fact in caseload(seed=5, clients=3, sessions=12):
        found[fact.episode_id].append(fact)
    return found


def values(facts: list[events.Fact]) -> list[bytes]:
    return [codec.encode_fact(fact).value for fact in facts]


@pytest.mark.parametrize("facts", episodes().values())
def test_it_is_what_the_scorer_says(facts: list[events.Fact]) -> None:
    """Whatever the order in which the facts are read."""
    should = recompute(reversed(values(facts)))
    assert should is not None
    said = undisturbed(facts)
    assert {rating: each.model_dump(exclude=set(ENVELOPE)) for rating, each in should.readings.items()} == said


@pytest.mark.parametrize("facts", episodes().values())
def test_what_differs_is_named(facts: list[events.Fact]) -> None:
    """A number turned, a reading gone, one that nobody made, an alert without ground, facts that are missing."""
    should = recompute(values(facts))
    assert should is not None
    first, second, *_ = sorted(should.readings)
    invented, alert = uuid4(), uuid4()
    readings = {
        **{rating: each for rating, each in should.readings.items() if rating != second},
        first: should.readings[first].model_copy(update={"total": 1.5}),
        invented: should.readings[first],
    }
    stored = Stored(alert, "slow-decline", "amber", "open", "", historical=False, rule="x")
    found = differences(DEFAULT, should, Standing(readings, {alert: stored}, facts=1), CLINIC)
    assert {
        Difference("reading", first, "total"),
        Difference("reading", second, "missing"),
        Difference("reading", invented, "unfounded"),
        Difference("alert", alert, "unfounded"),
        Difference("episode", should.snapshot.episode_id, "facts"),
    } <= set(found)


def test_what_lies_among_the_dead_letters_is_left_out_and_said() -> None:
    """The episode is incomplete without it; without any fact there is nothing to say."""
    facts = next(iter(episodes().values()))
    dead = {str(facts[3].fact_id)}
    should = recompute(values(facts), dead)
    assert should is not None
    assert should.snapshot.incomplete
    assert should.snapshot.revision.facts == len(facts) - 1
    assert recompute([]) is None
