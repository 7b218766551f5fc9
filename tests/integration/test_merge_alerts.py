"""What people see of two records of one person once they are merged: one record, and nothing that they said is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from schemas import events
from schemas.merged import record_in
from services.alerts.acts import LifeCycle
from services.alerts.adapters.batch import Batch, Taker
from services.alerts.adapters.decisions import Decisions
from services.alerts.domain.policy import DEFAULT
from services.alerts.metrics import AlertsMetrics
from services.alerts.web.queries import Records
from services.alerts.web.records import Viewer
from services.platform.clock import HeldClock
from services.platform.db import transaction
from services.platform.settings import Settings
from services.platform.vault import Vault, VaultKeys
from tests.alerts_records import CLIENT, DAY, OWNER, START, TENANT, reading, risk, snapshot, withdrawn
from tests.clinic import write_secrets
from tests.stack import Database

SURVIVOR, INTO = UUID(int=1_002), UUID(int=1_003)
LOSERS: tuple[events.Contract, ...] = (reading(1, 36.0), reading(2, 29.0), snapshot(), risk(1, 2))
GONE: tuple[events.Contract, ...] = (
    withdrawn(1, facts=4),
    withdrawn(2, facts=4),
    snapshot(4, status="closed", merged_into=INTO, ratings=0),
)


def _copy(event: events.Contract) -> events.Contract:
    """As scoring says it of the survivor."""
    about: dict[str, Any] = {"client_id": SURVIVOR, "episode_id": INTO}
    named = {name: record_in(INTO, getattr(event, name)) for name in ("rating_id", "record_id") if hasattr(event, name)}
    return event.model_copy(update=about | named)


COPIES = tuple(_copy(each) for each in LOSERS)


@dataclass(frozen=True, slots=True)
class Desk:
    """Alerts over one database."""

    engine: AsyncEngine
    taker: Taker
    acts: LifeCycle

    async def take(self, *said: events.Contract) -> None:
        batch = Batch()
        for event in said:
            batch.add(event)
        await self.taker.take(batch)

    async def states(self, client: UUID) -> list[tuple[str, str]]:
        query = text("select kind, state from alerts.alert where client_id = :client order by kind")
        async with transaction(self.engine, [TENANT]) as connection:
            return [(row.kind, row.state) for row in await connection.execute(query, {"client": client})]

    async def speak(self) -> None:
        """Somebody acknowledges the strain, and resolves the risk answer."""
        query = text("select alert_id, kind from alerts.alert where client_id = :client")
        async with transaction(self.engine, [TENANT]) as connection:
            alerts = {row.kind: row.alert_id for row in await connection.execute(query, {"client": CLIENT})}
        await self.acts.acknowledge(TENANT, alerts["rupture-possible"], by="ann")
        await self.acts.resolve(TENANT, alerts["risk-item"], by="ann", reason="discussed")


@pytest.fixture
async def desk(database: Database) -> AsyncIterator[Desk]:
    clock, metrics = HeldClock(START + 300 * DAY), AlertsMetrics()
    engine = create_async_engine(database.url("attune_alerts"))
    yield Desk(engine, Taker(engine, Decisions(DEFAULT, metrics), clock), LifeCycle(engine, clock, metrics))
    await engine.dispose()


@pytest.mark.parametrize("order", [(GONE, COPIES), (COPIES, GONE), (GONE + COPIES,)], ids=["gone", "copies", "both"])
async def test_what_people_said_goes_with_the_ratings(
    desk: Desk, order: tuple[tuple[events.Contract, ...], ...]
) -> None:
    """Whichever partition is read first: the loser's alerts are withdrawn, the survivor's stand as people left them."""
    await desk.take(*LOSERS)
    await desk.speak()
    for batch in (*order, *order):
        await desk.take(*batch)
    assert await desk.states(CLIENT) == [("risk-item", "resolved"), ("rupture-possible", "withdrawn")]
    assert await desk.states(SURVIVOR) == [("risk-item", "resolved"), ("rupture-possible", "acknowledged")]


async def test_what_nobody_had_looked_at_still_waits(desk: Desk) -> None:
    """Unseen alerts are withdrawn of the one and open of the other; a late risk answer of the one opens nothing."""
    await desk.take(*LOSERS)
    await desk.take(*GONE, *COPIES)
    await desk.take(risk(1, 2, record=91))
    assert await desk.states(CLIENT) == [
        ("risk-item", "withdrawn"),
        ("risk-item", "withdrawn"),
        ("rupture-possible", "withdrawn"),
    ]
    assert await desk.states(SURVIVOR) == [("risk-item", "open"), ("rupture-possible", "open")]


async def test_taken_back_the_loser_speaks_again(desk: Desk) -> None:
    """Her alerts are open again, the risk answer too, which no policy would bring back."""
    await desk.take(*LOSERS)
    await desk.take(*GONE)
    await desk.take(reading(1, 36.0, facts=5), reading(2, 29.0, facts=5), snapshot(5))
    assert await desk.states(CLIENT) == [("risk-item", "open"), ("rupture-possible", "open")]


async def test_the_pages_know_one_person(desk: Desk, database: Database, tmp_path: Path) -> None:
    """The caseload lists the survivor alone; the old reference leads to her; the loser has no page."""
    vault = Vault(VaultKeys.from_settings(Settings(secrets_dir=write_secrets(tmp_path / "secrets"))))
    engine = create_async_engine(database.url("attune_alerts"))
    async with transaction(engine, [TENANT]) as connection:
        old = (await vault.surrogates(connection, TENANT, "client", ["C-old"]))["C-old"]
    await desk.take(*(each.model_copy(update={"client_id": old}) for each in (*LOSERS, *GONE)))
    await desk.take(*COPIES)
    records, viewer = Records(engine, vault, HeldClock(START)), Viewer(TENANT, OWNER)
    cases, counts = await records.caseload(viewer, "all", 1)
    assert [case.snapshot.client_id for case in cases] == [SURVIVOR]
    assert counts == {"alerts": 1, "care": 1, "all": 1}
    assert await records.find(viewer, "C-old") == SURVIVOR
    assert await records.client(viewer, old) == []
    await engine.dispose()
