"""A candidate policy beside the live one: recorded and compared, never shown, never delivered."""

from __future__ import annotations

import asyncio
import json
from io import StringIO
from typing import Any

from rich.console import Console
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from schemas.events import Reading
from services.alerts.adapters.batch import Batch, Taker
from services.alerts.adapters.decisions import Decisions
from services.alerts.domain.policy import DEFAULT
from services.alerts.metrics import AlertsMetrics
from services.cli.app import run
from services.cli.invocation import Invocation
from services.platform.clock import HeldClock
from services.platform.db import transaction
from tests.alerts_records import DAY, START, TENANT, reading, snapshot, withdrawn
from tests.stack import Database

NAMED = text("insert into access.tenant (tenant_id, name, display_name) values (:tenant, 'north', 'North')")


async def attune(database: Database, *arguments: str) -> str:
    """The operator's command line."""
    out, say = StringIO(), StringIO()
    environment = {"ATTUNE_ENVIRONMENT": "local", "ATTUNE_DATABASE_URL": database.url("attune_operator")}
    made = Invocation(environment, out=Console(file=out, soft_wrap=True), say=Console(file=say))
    assert await asyncio.to_thread(run, arguments, made) == 0, say.getvalue()
    return out.getvalue()


async def name_the_tenant(database: Database) -> None:
    owner = create_async_engine(database.url("postgres"))
    async with owner.begin() as connection:
        await connection.execute(NAMED, {"tenant": TENANT})
    await owner.dispose()


async def compared(database: Database) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        await attune(database, "policy", "shadow", "compare", "--tenant", "north", "--json")
    )
    return found


def by_its_tail_alone(told: Reading) -> Reading:
    """No evidence of a change, but improbable: what the candidate's rule asks and the live one's does not."""
    first, *others = told.signals
    usual = first.model_copy(update={"details": {**first.details, "rate": 0.5}})
    return told.model_copy(update={"signals": (usual, *others)})


async def test_a_candidate_is_heard_by_the_operator_alone(database: Database) -> None:
    """What it alone says makes no alert and no message; corrected away it is silent; cleared, it is forgotten."""
    await name_the_tenant(database)
    await attune(database, "policy", "shadow", "set", "high-sens-1", "--tenant", "north")
    engine = create_async_engine(database.url("attune_alerts"))
    taker = Taker(engine, Decisions(DEFAULT, AlertsMetrics()), HeldClock(START + 300 * DAY))

    async def take(*events: object) -> None:
        batch = Batch()
        for event in events:
            batch.add(event)
        await taker.take(batch)

    async def count(table: str) -> int:
        async with transaction(engine, [TENANT]) as connection:
            return int((await connection.execute(text(f"select count(*) from alerts.{table}"))).scalar_one())

    await take(reading(1, 36.0), by_its_tail_alone(reading(2, 30.5)), snapshot())
    found = await compared(database)
    assert (found["both"], found["only_live"], found["only_candidate"]) == (0, 0, 1)
    assert await count("alert") == await count("step") == await count("outbox") == 0

    await take(reading(3, 29.0, facts=4), snapshot(facts=4))
    assert (await compared(database))["both"] == 1
    assert await count("alert") == 1

    await take(withdrawn(2, facts=5), snapshot(facts=5))
    assert (await compared(database))["only_candidate"] == 0

    await attune(database, "policy", "shadow", "clear", "--tenant", "north")
    await take(reading(4, 28.0, facts=6), snapshot(facts=6))
    assert await count("shadow_signal") == 0
    await engine.dispose()
