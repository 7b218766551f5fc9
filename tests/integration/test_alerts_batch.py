"""Batches on a real PostgreSQL: what follows from readings and risk answers, in whatever portions they come."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from services.alerts.acts import LifeCycle
from services.alerts.adapters.batch import Batch, Taker
from services.alerts.adapters.decisions import Decisions
from services.alerts.adapters.offsets import Overtaken, Progress
from services.alerts.consumer import Consumer
from services.alerts.domain.policy import DEFAULT
from services.alerts.metrics import AlertsMetrics
from services.alerts.settings import AlertsSettings
from services.alerts.sweep import Sweep
from services.platform.clock import HeldClock
from services.platform.db import transaction
from services.platform.errors import Refused
from tests.alerts_records import DAY, START, TENANT, reading, risk, snapshot, withdrawn
from tests.stack import Database

NOW = START + 300 * DAY


@dataclass(frozen=True, slots=True)
class Desk:
    """Alerts over one database, with its clock held."""

    engine: AsyncEngine
    taker: Taker
    acts: LifeCycle

    async def take(self, *events: object, progress: tuple[Progress, ...] = ()) -> None:
        batch = Batch(progress=list(progress))
        for event in events:
            batch.add(event)
        await self.taker.take(batch)

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        async with transaction(self.engine, [TENANT]) as connection:
            return [tuple(row) for row in await connection.execute(text(query))]

    async def alerts(self) -> list[tuple[Any, ...]]:
        return await self.rows("select kind, severity, state from alerts.alert order by opened_at, alert_id")

    async def steps(self) -> list[str]:
        return [row[0] for row in await self.rows("select action from alerts.step order by at, action")]

    async def only(self) -> Any:  # noqa: ANN401 - an id
        ((alert,),) = await self.rows("select alert_id from alerts.alert")
        return alert


@pytest.fixture
async def desk(database: Database) -> AsyncIterator[Desk]:
    engine, metrics, clock = create_async_engine(database.url("attune_alerts")), AlertsMetrics(), HeldClock(NOW)
    yield Desk(engine, Taker(engine, Decisions(DEFAULT, metrics), clock), LifeCycle(engine, clock, metrics))
    await engine.dispose()


FALL = (reading(1, 36.0), reading(2, 29.0), snapshot())


async def test_a_surprising_reading_is_an_alert_with_a_step(desk: Desk) -> None:
    """One alert, its opening noted, and the steps told to the topic, in one transaction."""
    await desk.take(*FALL)
    assert await desk.alerts() == [("rupture-possible", "red", "open")]
    assert await desk.steps() == ["escalated", "opened"]
    assert await desk.rows("select count(*) from alerts.outbox") == [(2,)]


async def test_taken_twice_nothing_changes(desk: Desk) -> None:
    """A batch that is read again, after a death before its offsets, writes nothing new."""
    await desk.take(*FALL)
    before = await desk.rows("select * from alerts.step"), await desk.rows("select * from alerts.alert")
    await desk.take(*FALL)
    assert (await desk.rows("select * from alerts.step"), await desk.rows("select * from alerts.alert")) == before


@pytest.mark.parametrize("cut", [1, 2])
async def test_a_batch_may_end_anywhere(desk: Desk, cut: int) -> None:
    """Readings before their snapshot, or one reading before the other: the alert is opened all the same."""
    await desk.take(*FALL[:cut])
    await desk.take(*FALL[cut:])
    assert await desk.alerts() == [("rupture-possible", "red", "open")]


async def test_an_older_revision_never_replaces_a_newer(desk: Desk) -> None:
    """A late message of a former owner does not bring a corrected rating back."""
    await desk.take(reading(1, 36.0, facts=4), reading(2, 36.0, facts=4), snapshot(4))
    await desk.take(*FALL)
    assert await desk.alerts() == []


async def test_a_retraction_withdraws_and_a_correction_reopens(desk: Desk) -> None:
    """Nothing is deleted: withdrawn when its ground goes, open again when it is back."""
    await desk.take(*FALL)
    await desk.take(withdrawn(2, facts=4), snapshot(4))
    assert await desk.alerts() == [("rupture-possible", "red", "withdrawn")]
    await desk.take(reading(2, 29.0, facts=5), snapshot(5))
    assert [state for _, _, state in await desk.alerts()] == ["open"]


async def test_who_was_overtaken_changes_nothing(desk: Desk) -> None:
    """Two that think they read a partition: the second finds the offset moved, and its batch is not written."""
    first = Progress("alliance-scores", 0, start=0, next_offset=3, last_offset=2, digest=b"x")
    await desk.take(snapshot(), progress=(first,))
    with pytest.raises(Overtaken):
        await desk.take(*FALL, progress=(first,))
    assert await desk.alerts() == []


async def test_nothing_suppresses_a_risk_answer(desk: Desk) -> None:
    """One alert for each form's answer, beside whatever else stands; a corrected form keeps it visible."""
    await desk.take(*FALL, risk(1, 2.0), risk(1, 1.0, record=91))
    kinds = [(kind, severity) for kind, severity, _ in await desk.alerts()]
    assert sorted(kinds) == [("risk-item", "red"), ("risk-item", "urgent"), ("rupture-possible", "red")]
    await desk.take(risk(2, None))
    reasons = await desk.rows(
        "select reason from alerts.alert where severity = 'red' and version = 2 and state = 'open'"
    )
    assert len(reasons) == 1
    assert "took back" in reasons[0][0]


async def test_a_worse_answer_speaks_again(desk: Desk) -> None:
    """What a person resolved was less: the corrected answer opens it again."""
    await desk.take(risk(1, 1.0))
    await desk.acts.resolve(TENANT, await desk.only(), by="clinician:x", reason="discussed")
    await desk.take(risk(2, 3.0))
    assert await desk.alerts() == [("risk-item", "urgent", "open")]


async def test_an_answer_that_was_corrected_before_it_came_opens_nothing(desk: Desk) -> None:
    """Version 2 says 0; version 1, coming later, is known to be superseded."""
    await desk.take(risk(2, 0.0))
    await desk.take(risk(1, 3.0))
    assert await desk.alerts() == [("risk-item", "red", "withdrawn")]


async def test_a_person_acknowledges_and_resolves_once(desk: Desk) -> None:
    """Twice is once; after resolving, acknowledging is refused."""
    await desk.take(*FALL)
    alert = await desk.only()
    for _ in range(2):
        await desk.acts.acknowledge(TENANT, alert, by="clinician:x")
    for _ in range(2):
        await desk.acts.resolve(TENANT, alert, by="clinician:x", reason="discussed")
    assert sorted(await desk.steps()) == ["acknowledged", "escalated", "opened", "resolved"]
    with pytest.raises(Refused):
        await desk.acts.acknowledge(TENANT, alert, by="clinician:x")


def _sweep(desk: Desk) -> Sweep:
    settings, metrics = AlertsSettings(alerts_feed_quiet_seconds=0), AlertsMetrics()
    consumer = Consumer(settings, desk.engine, desk.taker, metrics)
    return Sweep(settings, desk.engine, desk.taker.decisions, consumer, HeldClock(NOW), metrics)


async def test_a_clinic_that_cannot_be_swept_keeps_no_other_waiting(desk: Desk) -> None:
    """A stored snapshot that cannot be read stops its own clinic's deadlines, is counted, and stops no other's."""
    silent: dict[str, Any] = {"silent_amber_at": START + 42 * DAY, "silent_red_at": START + 60 * DAY}
    other = UUID(int=0)
    broken = snapshot(**silent).model_copy(update={"tenant_id": other, "episode_id": UUID(int=70)})
    now = {"known_at": START + 45 * DAY}
    await desk.take(broken.model_copy(update=now), snapshot(**silent).model_copy(update=now))
    async with transaction(desk.engine, [other]) as connection:
        await connection.execute(text("update alerts.episode set snapshot = '{}'"))
    sweep = _sweep(desk)
    assert await sweep.once() == 1
    assert await desk.alerts() == [("disengaging", "amber", "open")]
    assert sweep.metrics.sweep_failures._value.get() == 1


async def test_the_sweep_holds_deadlines_against_the_clinics_own_now(desk: Desk) -> None:
    """A feed's now decides, not ours: nothing before its deadline, amber after it, gone when the client came."""
    silent: dict[str, Any] = {"silent_amber_at": START + 42 * DAY, "silent_red_at": START + 60 * DAY}
    sweep = _sweep(desk)
    await desk.take(snapshot(**silent))
    assert await sweep.once() == 0
    await desk.take(snapshot(4, **silent).model_copy(update={"known_at": START + 45 * DAY}))
    assert await sweep.once() == 1
    assert await desk.alerts() == [("disengaging", "amber", "open")]
    later: dict[str, Any] = {"silent_amber_at": START + 90 * DAY, "silent_red_at": START + 99 * DAY}
    await desk.take(snapshot(5, **later).model_copy(update={"known_at": START + 46 * DAY}))
    assert await desk.alerts() == [("disengaging", "amber", "cleared")]
