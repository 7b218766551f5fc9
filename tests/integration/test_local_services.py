"""The supervisor's order: Kafka and PostgreSQL, then the steps, then the services; and backwards at the end."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from services.local.probes import http
from services.local.progress import Silent
from services.local.settings import LocalSettings
from services.local.setup import ensure
from services.local.stack import LocalStack, Program, run_until_signal
from services.platform.errors import Refused

SERVICE = Program("scoring", "tests.integration.local_service", "scoring_port", role="attune_owner", opens="/metrics")


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="attune-home-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


def a_stack(folder: Path, scoring_port: int = 0) -> LocalStack:
    cache = LocalSettings().cache
    settings = LocalSettings(home=folder, cache_dir=cache, kafka_port=0, durable=False, scoring_port=scoring_port)
    return LocalStack(settings, ensure(settings, Silent()), dict(os.environ), programs=(SERVICE,))


async def test_services_start_after_the_steps_and_everything_stops(folder: Path) -> None:
    """Steps see Kafka and PostgreSQL but no service; a stop leaves no process and says so in the status."""
    stack = a_stack(folder)
    stop, seen = asyncio.Event(), list[set[str]]()

    async def step(told: Mapping[str, str]) -> None:
        assert told["ATTUNE_DATABASE_URL"].startswith("postgresql+asyncpg://attune_owner@/attune?host=")
        seen.append(set(stack.supervisor.report()))

    async def ready(started: LocalStack) -> None:
        await http(f"{started.address('scoring')}/healthz")()
        seen.append(set(started.supervisor.report()))
        stop.set()

    stack.steps = (step,)
    await run_until_signal(stack, stop, ready)
    assert seen == [{"kafka", "postgres"}, {"kafka", "postgres", "scoring"}]
    assert {told["state"] for told in stack.home.read_status()["services"].values()} == {"stopped"}


async def test_a_killed_service_is_started_again(folder: Path) -> None:
    """SIGKILL of a service: restarted on its port; the count of restarts is in the status."""
    stack = a_stack(folder)
    async with stack.running():
        child = stack.supervisor.child("scoring")
        assert child.process is not None
        os.kill(child.process.pid, signal.SIGKILL)
        async with asyncio.timeout(20):
            while not (child.restarts == 1 and child.state == "ready"):  # noqa: ASYNC110 - the supervisor tells the status, not an event
                await asyncio.sleep(0.05)
        assert stack.home.read_status()["services"]["scoring"]["restarts"] == 1


async def test_a_stop_in_the_middle_of_the_start_is_heeded(folder: Path) -> None:
    """Ctrl-C while a step runs: what had started is stopped, and nothing is raised."""
    stack = a_stack(folder)
    stop = asyncio.Event()

    async def endless(_: Mapping[str, str]) -> None:
        stop.set()
        await asyncio.Event().wait()

    async def never(_: LocalStack) -> None:
        pytest.fail("it was never ready")

    stack.steps = (endless,)
    await run_until_signal(stack, stop, never)
    assert stack.supervisor.groups == []
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(folder) in " ".join(p.info["cmdline"] or [])]


async def test_what_fails_after_the_start_stops_everything_and_is_told(folder: Path) -> None:
    """An expected failure of the demo, say, reaches the caller once the children are gone."""
    stack = a_stack(folder)

    async def refused(_: LocalStack) -> None:
        raise Refused("not today")

    with pytest.raises(Refused, match="not today"):
        await run_until_signal(stack, asyncio.Event(), refused)
    assert stack.supervisor.groups == []


async def test_a_taken_default_port_gives_way_and_the_status_says_so(folder: Path) -> None:
    """The address in the status is the one that answers."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        stack = a_stack(folder, scoring_port=taken.getsockname()[1])
        async with stack.running():
            told = stack.home.read_status()["services"]["scoring"]
            assert told["address"] != f"http://127.0.0.1:{taken.getsockname()[1]}"
            assert told["opens"] == f"{told['address']}/metrics"
            await http(f"{told['address']}/readyz")()
