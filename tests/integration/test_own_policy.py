"""A clinic's own policy: put in force in one go, and nobody is told twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from schemas.events import Reading
from services.alerts.acts import LifeCycle
from services.alerts.adapters.batch import Batch, Taker
from services.alerts.adapters.decisions import Decisions
from services.alerts.domain.policy import DEFAULT
from services.alerts.metrics import AlertsMetrics
from services.alerts.switch import Switch
from services.platform.clock import HeldClock
from services.platform.db import transaction
from tests.alerts_records import DAY, START, TENANT, reading, snapshot
from tests.integration.test_shadow import attune, by_its_tail_alone, name_the_tenant
from tests.stack import Database

NOW = START + 300 * DAY


@dataclass(frozen=True, slots=True)
class Clinic:
    """One clinic's alerts, and its operator."""

    database: Database
    engine: AsyncEngine
    taker: Taker
    acts: LifeCycle

    async def take(self, *events: object) -> None:
        batch = Batch()
        for event in events:
            batch.add(event)
        await self.taker.take(batch)

    async def asks_for(self, policy: str) -> int:
        """How many clinics have another policy then."""
        await attune(self.database, "policy", "set", "north", policy)
        return await self.switched()

    async def switched(self) -> int:
        return await Switch(self.engine, self.taker.decisions, self.taker.clock).once()

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        async with transaction(self.engine, [TENANT]) as connection:
            return [tuple(row) for row in await connection.execute(text(query))]

    async def alerts(self) -> list[tuple[Any, ...]]:
        return await self.rows("select rule, state, historical from alerts.alert order by occurred_at, rule")

    async def told(self) -> list[str]:
        return [action for (action,) in await self.rows("select action from alerts.step order by number")]


@pytest.fixture
async def clinic(database: Database) -> AsyncIterator[Clinic]:
    await name_the_tenant(database)
    engine, metrics, clock = create_async_engine(database.url("attune_alerts")), AlertsMetrics(), HeldClock(NOW)
    yield Clinic(database, engine, Taker(engine, Decisions(DEFAULT, metrics), clock), LifeCycle(engine, clock, metrics))
    await engine.dispose()


def of_another_clinic(told: Reading) -> Reading:
    """The same, of somebody else's client."""
    ids = {"tenant_id": UUID(int=9), "episode_id": UUID(int=93), "rating_id": UUID(int=900 + told.session_number)}
    return told.model_copy(update=ids)


FALL = (reading(1, 36.0), reading(2, 29.0), snapshot())


async def test_what_stands_under_both_policies_is_told_once(clinic: Clinic) -> None:
    """Another rule speaks of the same rating: the alert stays the one it is, and no step is noted or published."""
    await clinic.take(*FALL)
    before = await clinic.told(), await clinic.rows("select count(*) from alerts.outbox")
    assert await clinic.asks_for("high-sens-1") == 1
    assert await clinic.alerts() == [("predictive-drop", "open", False)]
    assert (await clinic.told(), await clinic.rows("select count(*) from alerts.outbox")) == before
    assert await clinic.switched() == 0


async def test_what_a_person_has_ended_stays_ended(clinic: Clinic) -> None:
    """A resolved alert is not opened again by another policy's name for it."""
    await clinic.take(*FALL)
    ((alert,),) = await clinic.rows("select alert_id from alerts.alert")
    await clinic.acts.resolve(TENANT, alert, by="clinician:x", reason="discussed")
    await clinic.asks_for("high-sens-1")
    assert [state for _, state, _ in await clinic.alerts()] == ["resolved"]


async def test_what_loses_its_ground_is_withdrawn_and_comes_back(clinic: Clinic) -> None:
    """All episodes are decided at the switch, without a new reading; back again, every step is noted."""
    await clinic.take(reading(1, 36.0), by_its_tail_alone(reading(2, 30.5)), snapshot())
    assert await clinic.alerts() == []
    await clinic.asks_for("high-sens-1")
    assert await clinic.alerts() == [("predictive-drop", "open", False)]
    for _ in range(2):
        await clinic.asks_for("fic-default-2")
        assert [state for _, state, _ in await clinic.alerts()] == ["withdrawn"]
        await clinic.asks_for("high-sens-1")
        assert [state for _, state, _ in await clinic.alerts()] == ["open"]
    assert (await clinic.told()).count("reopened") == 2


async def test_what_was_over_before_the_policy_is_history(clinic: Clinic) -> None:
    """A strain that only the new policy knows, and that is repaired, is told to nobody."""
    back = [by_its_tail_alone(reading(number, 36.0)) for number in (3, 4, 5)]
    await clinic.take(reading(1, 36.0), by_its_tail_alone(reading(2, 30.5)), *back, snapshot())
    await clinic.asks_for("high-sens-1")
    assert await clinic.alerts() == [("predictive-drop", "cleared", True)]


async def test_other_clinics_keep_theirs_and_readings_to_come_are_decided_by_it(clinic: Clinic) -> None:
    """One clinic's policy is nobody else's, from its next reading on."""
    await clinic.take(reading(1, 36.0), snapshot())
    await clinic.asks_for("high-sens-1")
    weak = by_its_tail_alone(reading(2, 30.5))
    await clinic.take(weak, of_another_clinic(reading(1, 36.0)), of_another_clinic(weak))
    assert await clinic.alerts() == [("predictive-drop", "open", False)]
    async with transaction(clinic.engine, [UUID(int=9)]) as connection:
        assert (await connection.execute(text("select count(*) from alerts.alert"))).scalar_one() == 0


async def test_a_policy_of_ones_own_is_a_file_and_every_change_is_on_record(clinic: Clinic, tmp_path: Path) -> None:
    """Shown, changed, renamed, set, cleared: the operator sees who asked for what, and nobody can change that."""
    text_ = await attune(clinic.database, "policy", "show", "fic-default-2", "--json")
    ours = json.loads(text_) | {"name": "north-1"}
    ours["rules"][0]["bounds"][0]["threshold"] = 0.05
    file = tmp_path / "ours.json"
    file.write_text(json.dumps(ours))
    await clinic.take(*FALL)
    await clinic.asks_for(str(file))
    assert "north decides by north-1" in await attune(clinic.database, "policy", "show", "--tenant", "north")
    await attune(clinic.database, "policy", "clear", "north")
    assert "not in force yet" in await attune(clinic.database, "policy", "show", "--tenant", "north")
    await clinic.switched()
    shown = json.loads(await attune(clinic.database, "policy", "show", "--tenant", "north", "--json"))
    assert [(each["policy"], each["in_force"]) for each in shown["changes"]] == [("north-1", False), (None, True)]
    assert all(each["set_by"].startswith("operator:") for each in shown["changes"])
    operator = create_async_engine(clinic.database.url("attune_operator"))
    async with transaction(operator, [TENANT]) as connection:
        with pytest.raises(Exception, match="permission denied"):
            await connection.execute(text("update alerts.tenant_policy set policy = 'x'"))
    await operator.dispose()


async def test_a_batch_at_the_same_moment_is_decided_under_the_new_policy(clinic: Clinic) -> None:
    """Whoever is first, the clinic's clock or the batch: what the batch brings is decided by what is then in force."""
    await clinic.take(reading(1, 36.0), snapshot())
    for number, (policy, state) in enumerate((("high-sens-1", "open"), ("fic-default-2", "withdrawn")) * 4, start=4):
        await attune(clinic.database, "policy", "set", "north", policy)
        batch = (by_its_tail_alone(reading(2, 30.5, facts=number)), snapshot(facts=number))
        _, switched = await asyncio.gather(clinic.take(*batch), clinic.switched())
        assert switched == 1
        assert [each for _, each, _ in await clinic.alerts()] == [state]
