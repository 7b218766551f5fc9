"""A clinic's fitted parameters on the real road: kept, published, used for what begins later, and found again."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.exc import DBAPIError

from schemas.events import TenantConfig
from services.ingest import tenant_configs
from services.lab.fit import Fitted
from services.lab.fitted_file import FittedFile, write
from services.platform.clock import SystemClock
from services.platform.db import transaction
from services.scoring.domain.config import ENGINE_VERSION
from services.scoring.domain.hazard import Cause, Gate, HazardModel
from tests.recovery_road import SmallRoad
from tests.whole_road import ratings

CLIENTS, SESSIONS = 4, 6
READINGS = "select jsonb_object_agg(rating_id, reading - 'revision' - 'causes' - 'known_at') from alerts.reading"
FIRST = "select jsonb_agg(reading -> 'score' -> 'level') from alerts.reading where reading ->> 'session_number' = '1'"

FORETOLD = "select count(*) from alerts.episode where snapshot #>> '{dropout,since}' is not null"
TOLD = "select count(*) from alerts.alert where kind = 'dropout-risk' and state = 'open'"
FLAT = Cause((0.0,) * 6, 0.0, 0.0, ())
LIKELY = HazardModel((), (), (), FLAT, FLAT, Gate(300, 0.61, 1.0, 60), line=0.5)
"""Every session is as likely as not to be the last one."""


def posts(kind: str, sessions: int = SESSIONS) -> list[dict[str, Any]]:
    """The same ratings of other clients."""
    named = ratings(CLIENTS, sessions)
    return [each | {name: f"{kind}{each[name]}" for name in ("id", "client", "session")} for each in named]


async def test_parameters_are_for_episodes_that_begin_later(
    road: SmallRoad, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Published, they change no reading of who came before; who comes after is read with them; a rebuild is equal."""
    monkeypatch.setattr(tenant_configs, "IN_FORCE_AFTER", timedelta(seconds=1))
    file = tmp_path / "fitted.json"
    fitted = FittedFile.of([Fitted("srs@3", 31.0, 5.0, 4.0, ((0.1, 0.3), (0.01, 2.5)), {"clients": 212.0})])
    write(file, fitted.foretelling(LIKELY))
    async with road.relaying(), road.alerting() as consumer:
        async with road.scoring():
            before = posts("old")
            await road.post(before[:-CLIENTS])
            await road.settled()
            said = await road.attune("fit", "publish", str(file), "--tenant", road.name)
            assert f"{road.name} version 1, with a hazard of dropout: for episodes that begin from" in said
            in_force = await road.ask("select in_force_from from ingest.tenant_config")
            await asyncio.sleep(max(0.0, (in_force - SystemClock().now()).total_seconds()))
            await road.post([*before[-CLIENTS:], *posts("new")])
            await road.settled()
            await road.caught_up(consumer)
            assert len(set(await road.ask(FIRST))) == 2 * CLIENTS, "the same ratings, read with other parameters"
            assert f"0 of {2 * CLIENTS} episodes differ from their facts" in await road.attune("verify", "--all")
            assert await road.ask(FORETOLD) == CLIENTS, "who began before is not foretold, whoever began since is"
            assert await road.ask(TOLD) == CLIENTS, "one alert a client, for a run of sessions"
        readings = await road.ask(READINGS)
        await road.recreate_topics()
        async with road.scoring():
            await road.attune("replay", "--all")
            await road.caught_up(consumer)
        assert await road.ask(READINGS) == readings
        assert f"0 of {2 * CLIENTS} episodes differ from their facts" in await road.attune("verify", "--all")
    assert "srs@3" in await road.attune("fit", "list", "--tenant", road.name)
    assert "31.00" in await road.attune("fit", "show", "--tenant", road.name)


async def test_versions_are_counted_kept_and_each_clinics_own(road: SmallRoad) -> None:
    """Two at once are two versions; in force later than whatever was received; nobody changes or removes one."""
    await road.post(posts("one", 1))
    now, engine = SystemClock().now(), road.engine("attune_operator")
    received = await road.ask("select max(received_at) from ingest.inbox")
    behind = now - timedelta(hours=1)

    async def publish() -> TenantConfig:
        wanted = config(road.tenant, behind)
        async with transaction(engine, [road.tenant]) as connection:
            return await tenant_configs.publish(connection, wanted, behind)

    made = await asyncio.gather(publish(), publish())
    assert sorted(each.version for each in made) == [1, 2]
    assert {each.in_force_from for each in made} == {received + tenant_configs.IN_FORCE_AFTER}
    async with transaction(engine) as connection:
        assert await tenant_configs.known(connection, [road.tenant]) == sorted(made, key=lambda each: each.version)
        assert await tenant_configs.known(connection, [UUID(int=1)]) == []
    assert await road.ask("select count(*) = 2 from ingest.outbox where topic = 'tenant-configs' and lane = 0")
    for statement in ("update ingest.tenant_config set version = 9", "delete from ingest.tenant_config"):
        with pytest.raises(DBAPIError, match="permission denied"):
            await _as_operator(road, statement)


async def _as_operator(road: SmallRoad, statement: str) -> None:
    async with transaction(road.engine("attune_operator"), [road.tenant]) as connection:
        await connection.exec_driver_sql(statement)


def config(tenant: UUID, in_force_from: Any) -> TenantConfig:  # noqa: ANN401 - as the contract takes it
    return TenantConfig(tenant_id=tenant, version=1, in_force_from=in_force_from, engine=ENGINE_VERSION, parameters={})
