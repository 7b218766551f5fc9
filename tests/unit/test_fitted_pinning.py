"""An episode is worked out with what was in force when it began: whoever works it out, and however often."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import codec, events
from schemas.topics import TENANT_CONFIGS
from services.scoring.domain.config import DEFAULT, ENGINE_VERSION, EngineConfig
from services.scoring.domain.facts import Fact
from services.scoring.domain.pinning import InForce, pinned
from services.scoring.fitted import FittedEngines, engine_with
from tests.scoring_facts import START, Bench, as_record, caseload, latest

FACTS = caseload(seed=31, clients=2, sessions=10)
TENANT = FACTS[0].tenant_id


def config(version: int, in_force_from: Any, **changes: Any) -> events.TenantConfig:  # noqa: ANN401 - as the contract takes them
    parameters = {"srs@3": events.InstrumentParameters(mu0=30.0 + version, sb=4.0, sw=3.0)}
    given: dict[str, Any] = {"tenant_id": TENANT, "engine": ENGINE_VERSION, "parameters": parameters}
    return events.TenantConfig(version=version, in_force_from=in_force_from, **(given | changes))


def readings(facts: Sequence[events.Fact], *configs: events.TenantConfig) -> dict[UUID, dict[str, Any]]:
    bench = Bench(engines=FittedEngines(configs))
    bench.take([as_record(fact) for fact in facts])
    return latest(record.value for record in bench.said if record.value)


AS_SHIPPED = readings(FACTS)
BEFORE = START - timedelta(days=1)
LATER = START + timedelta(weeks=4)


def test_the_versions_of_a_clinic_survive_the_wire() -> None:
    """What is published is read back, under a key of its own for each version."""
    record = codec.encode_config(config(7, START))
    assert record.key == f"{TENANT}:7".encode()
    assert codec.decode(TENANT_CONFIGS, record.value, record.headers) == config(7, START)


@pytest.mark.parametrize(
    ("configs", "version"),
    [((), 0), ((LATER,), 0), ((BEFORE,), 1), ((BEFORE, BEFORE), 2), ((BEFORE, LATER), 1)],
    ids=["none", "too late", "in time", "the latest", "a later one does not touch it"],
)
def test_the_latest_version_in_force_at_the_beginning_counts(configs: tuple[Any, ...], version: int) -> None:
    """Another version, other readings; none in force at the first fact, those of the shipped parameters."""
    found = readings(FACTS, *(config(number, at) for number, at in enumerate(configs, start=1)))
    assert found == (readings(FACTS, config(version, BEFORE)) if version else AS_SHIPPED)
    assert (found == AS_SHIPPED) is (version == 0)


def test_other_clinics_parameters_never_matter() -> None:
    """A version is its clinic's alone."""
    assert readings(FACTS, config(1, BEFORE, tenant_id=UUID(int=5))) == AS_SHIPPED


def test_other_instruments_and_engines_leave_what_is_shipped() -> None:
    """A clinic's SRS says nothing about its ORS; another engine's rates are left aside, the parameters are not."""
    rates = ((0.1, 0.3), (0.01, 2.5))
    parameters = {"srs@3": events.InstrumentParameters(mu0=31.0, sb=4.0, sw=3.0, rates=rates)}
    assert engine_with(parameters, engine=ENGINE_VERSION, version=1).rates == (("srs@3", rates),)
    assert engine_with(parameters, engine=ENGINE_VERSION + 1, version=1).rates == ()
    assert engine_with(parameters, engine=ENGINE_VERSION + 1, version=1).priors[0][1].mu0 == 31.0


@pytest.mark.parametrize("again", [FACTS, FACTS[-1:]], ids=["a replay", "a fact more"])
def test_a_version_told_late_puts_right_what_was_said(again: list[events.Fact]) -> None:
    """Facts came before the version that was in force: the next fact, or a replay, says all the readings anew."""
    bench = Bench()
    bench.take([as_record(fact) for fact in FACTS[: -1 if len(again) == 1 else None]])
    bench.engines.take(config(1, BEFORE))
    untouched = {fact.client_id for fact in FACTS} - {fact.client_id for fact in again}
    bench.take([as_record(fact) for fact in again])
    said = latest(record.value for record in bench.said if record.value)
    theirs = {fact.record_id for fact in FACTS if fact.client_id in untouched}
    right = readings(FACTS, config(1, BEFORE))
    assert {rating: each for rating, each in said.items() if rating not in theirs} == {
        rating: each for rating, each in right.items() if rating not in theirs
    }


def test_a_worker_that_takes_over_says_nothing_new() -> None:
    """The stored steps were made under the same version: what is repeated is what was said."""
    first = Bench(engines=FittedEngines([config(1, BEFORE)]))
    first.take([as_record(fact) for fact in FACTS[:-3]])
    second = first.restarted()
    second.engines.take(config(1, BEFORE))
    before = len(second.said)
    second.take([as_record(fact) for fact in FACTS[-3:]])
    assert latest(record.value for record in second.said if record.value) == readings(FACTS, config(1, BEFORE))
    assert len(second.said) - before <= 6, "three facts, not all of the history again"


TIMES = st.integers(1, 1_000)
GIVEN = st.lists(TIMES, min_size=1, max_size=8)


def fact(number: int, recorded_at: int, drops: int | None = None) -> Fact:
    dropped = None if drops is None else str(drops)
    return Fact(str(number), str(number), 1, "rating.submitted", 0, recorded_at, drops=dropped)


@given(times=GIVEN, since=st.lists(TIMES, max_size=4), cut=st.integers(0, 8), drops=st.none() | st.integers(0, 7))
def test_the_order_of_facts_never_matters(times: list[int], since: list[int], cut: int, drops: int | None) -> None:
    """However the facts are parted into those held and those that come, dropped ones among them or not."""
    versions = [InForce(at, engine(number)) for number, at in enumerate(sorted(since), start=1)]
    facts = [*(fact(number, at) for number, at in enumerate(times)), fact(99, 1_001, drops)]
    counting = [each.recorded_at for each in facts if each.fact_id != str(drops)]
    wanted = [each.engine for each in versions if each.since <= min(counting)]
    found = {pinned(versions, {each.fact_id: each for each in some[:cut]}, some[cut:]) for some in (facts, facts[::-1])}
    assert found == {wanted[-1] if wanted else DEFAULT}


def engine(version: int) -> EngineConfig:
    return engine_with({}, engine=ENGINE_VERSION, version=version)
