"""The drill of docs/deploy.md, "Backup and restore": dump, lose everything, restore, replay."""

from __future__ import annotations

import asyncio
from pathlib import Path

from services.local.postgres import OWNER, SUPERUSER, PostgresServer
from tests.recovery_road import SmallRoad
from tests.whole_road import ratings

CLIENTS, SESSIONS = 12, 10
READINGS = "select jsonb_object_agg(rating_id, reading - 'revision' - 'causes' - 'known_at') from alerts.reading"
STEPS = "select jsonb_agg(to_jsonb(step) order by step) from alerts.step"
VAULT = "select jsonb_agg(to_jsonb(entry) order by surrogate) from vault.entry"


async def test_a_dump_and_a_replay_bring_everything_back(road: SmallRoad, tmp_path: Path) -> None:
    """The database dropped and all topics empty: equal readings, and not one step of an alert more."""
    async with road.relaying(), road.scoring(), road.alerting():
        await road.post(ratings(CLIENTS, SESSIONS))
        await road.settled()
    before = [await road.ask(query) for query in (READINGS, STEPS, VAULT)]
    assert len(before[0]) == CLIENTS * SESSIONS
    assert before[1], "without an alert the drill would not show that nobody is told twice"

    copy = tmp_path / "attune.dump"
    await program(road.database.server, "pg_dump", "--format=custom", f"--file={copy}", road.database.name)
    await lose_everything(road)
    await program(road.database.server, "pg_restore", "--exit-on-error", f"--dbname={road.database.name}", str(copy))

    async with road.relaying(), road.scoring(), road.alerting() as consumer:
        assert f"{road.posted} facts published again: {road.posted} answered" in await road.attune("replay", "--all")
        await road.caught_up(consumer)
        assert [await road.ask(query) for query in (READINGS, STEPS, VAULT)] == before
        assert f"0 of {CLIENTS} episodes differ from their facts" in await road.attune("verify", "--all")


async def lose_everything(road: SmallRoad) -> None:
    """No topic has a record, no table a row, and whoever was connected is not."""
    for engine in road.engines.values():
        await engine.dispose()
    await road.recreate_topics()
    connection = await road.database.server.connect()
    await connection.execute(f"drop database {road.database.name} with (force)")
    await connection.execute(f"create database {road.database.name} owner {OWNER}")
    await connection.close()


async def program(server: PostgresServer, name: str, *arguments: str) -> None:
    """One of PostgreSQL's own tools, as in the runbook."""
    to = (f"--host={server.place.socket}", f"--username={SUPERUSER}")
    process = await asyncio.create_subprocess_exec(server.place.binaries / "bin" / name, *to, *arguments)
    assert await process.wait() == 0
