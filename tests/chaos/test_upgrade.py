"""From the code that closed the road to this one, service by service, while a clinic goes on posting."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import NullPool
from sqlalchemy.ext.asyncio import create_async_engine

from migrations.run import upgrade
from services.local import ports, probes
from services.local.child import Service
from services.local.ports import LOOPBACK
from services.local.postgres import OWNER
from services.local.progress import Silent
from services.local.settings import CHECKOUT, LocalSettings
from services.local.setup import ensure
from services.local.stack import SERVICES, LocalStack
from services.platform.kafka import create_topics
from services.platform.settings import Settings
from tests.chaos.load import Load, care
from tests.chaos.verdict import Verdict, judge, whole_again
from tests.whole_road import Road, clinic, folder

CLOSED_THE_ROAD = "4833c5a"
"""The commit that a clinic may be running: the first one on which the whole road stood."""
ITS_MIGRATION = "0002"
TOLD = {"ATTUNE_KAFKA_SESSION_TIMEOUT_MS": "6000", "ATTUNE_KAFKA_PARTITIONS": "4"}
pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif("ATTUNE_LONG_FORM" not in os.environ, reason="half a minute and more: part of `make chaos`"),
]


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """The earlier code, in a folder of its own."""
    archive = subprocess.run(["git", "archive", CLOSED_THE_ROAD], cwd=CHECKOUT, capture_output=True, check=False)
    if archive.returncode:
        pytest.skip(f"commit {CLOSED_THE_ROAD} is not in this clone's history: fetch it whole to prove upgrades")
    place = tmp_path / "earlier"
    place.mkdir()
    subprocess.run(["tar", "x"], cwd=place, input=archive.stdout, check=True)
    command = [sys.executable, "-c", "import services; print(services.__path__[0])"]
    found = subprocess.run(command, cwd=place, capture_output=True, check=True)
    assert str(place) in found.stdout.decode(), "the earlier code is not what would run"
    return place


@asynccontextmanager
async def first_release(code: Path) -> AsyncIterator[Road]:
    """The system as it was: its migrations, its services."""
    home = folder()
    settings = LocalSettings(home=home, cache_dir=LocalSettings().cache, kafka_port=0, durable=False)
    stack = LocalStack(settings, ensure(settings, Silent()), os.environ | TOLD, programs=(), steps=(_migrate, _topics))
    try:
        async with stack.running():
            for name in ("ingest", "relay", "scoring", "alerts"):
                await stack.supervisor.start([service(stack, name, name, code)])
            tenant, key = await clinic(stack)
            engine = create_async_engine(stack.postgres.url("postgres"), poolclass=NullPool)
            yield Road(stack, key, tenant, engine)
            await engine.dispose()
    finally:
        shutil.rmtree(home)


async def _migrate(environment: Mapping[str, str]) -> None:
    await upgrade(environment["ATTUNE_DATABASE_URL"], ITS_MIGRATION)


async def _topics(environment: Mapping[str, str]) -> None:
    await create_topics(Settings(kafka_bootstrap=environment["ATTUNE_KAFKA_BOOTSTRAP"], kafka_partitions=4))


def service(stack: LocalStack, name: str, own: str, code: Path) -> Service:
    """One of our services, run from this code; from now on it is where `name` is reached."""
    program = next(each for each in SERVICES if each.name == name)
    (port,) = ports.choose(0)
    address = f"http://{LOOPBACK}:{port}"
    stack._ports[own] = port
    return Service(
        name=own,
        command=(sys.executable, "-m", program.module),
        probe=probes.http(f"{address}/readyz"),
        environment=stack.environment(program.role, port),
        address=address,
        folder=code,
    )


async def rolled(road: Road, name: str) -> None:
    """An orderly end, and the same service again from this code."""
    child = road.stack.supervisor.child(name)
    before = road.pid(name)
    child.service = replace(child.service, folder=CHECKOUT)
    road.signal(name, signal.SIGTERM)
    await road.restarted(name, before)


async def test_every_service_is_rolled_under_load(earlier: Path) -> None:
    """Migrations, then a new door beside the old one, then relay, alerts and scoring: no post sees an error."""
    async with first_release(earlier) as road:
        async with Load(road, per_second=60).running(care(seed=4, clients=120)) as load:
            await whole_again(road)
            await upgrade(road.stack.postgres.url(OWNER))
            await whole_again(road)
            await road.stack.supervisor.start([service(road.stack, "ingest", "ingest-new", CHECKOUT)])
            road.stack._ports["ingest"] = road.stack._ports["ingest-new"]  # the balancer turns to the new one
            await whole_again(road)
            await road.stack.supervisor.child("ingest").stop()
            for name in ("relay", "alerts", "scoring"):
                await rolled(road, name)
                await whole_again(road)
        await road.settled()
        assert load.refused == {}, "a client saw an error"
        assert await judge(road) == Verdict(lost=0, doubled=0, wrong=0, untrue=0)
