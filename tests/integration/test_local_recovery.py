"""What happens to the local stack when something is killed, held, or taken away."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from services.local.child import Service
from services.local.errors import ChildFailed, HomeInUse
from services.local.home import Home
from services.local.ports import choose
from services.local.postgres import DATABASE, SUPERUSER
from services.local.probes import kafka
from services.local.progress import Silent
from services.local.settings import CHECKOUT, LocalSettings
from services.local.setup import ensure
from services.local.stack import LocalStack
from services.local.supervisor import Supervisor

RUN = """
import asyncio, os
from services.local.progress import Silent
from services.local.settings import LocalSettings
from services.local.setup import ensure
from services.local.stack import LocalStack

async def main():
    settings = LocalSettings(kafka_port=0, durable=False)
    async with LocalStack(settings, ensure(settings, Silent()), dict(os.environ), programs=()).running():
        print("ready", flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        await asyncio.sleep(0.05)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A home that any account may reach, with a path short enough for a socket."""
    made = Path(tempfile.mkdtemp(prefix="attune-home-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


@pytest.fixture
async def own_stack(folder: Path) -> AsyncIterator[LocalStack]:
    """A Kafka and a PostgreSQL that a test may kill."""
    settings = LocalSettings(home=folder, cache_dir=LocalSettings().cache, kafka_port=0, durable=False)
    stack = LocalStack(settings, ensure(settings, Silent()), dict(os.environ), programs=())
    async with stack.running():
        yield stack


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "ATTUNE_HOME": str(folder), "ATTUNE_CACHE_DIR": str(LocalSettings().cache)}


@contextlib.contextmanager
def supervisor_process(folder: Path, account: str | None = None) -> Iterator[subprocess.Popen[str]]:
    user = pwd.getpwnam(account) if account else None
    with subprocess.Popen(
        [sys.executable, "-c", RUN],
        env=environment(folder),
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        text=True,
        user=user.pw_uid if user else None,
        group=user.pw_gid if user else None,
        extra_groups=[] if user else None,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def pids(folder: Path) -> list[int]:
    return [int(told["pid"]) for told in Home(folder).read_status()["services"].values()]


async def test_killing_the_supervisor_leaves_nothing(folder: Path) -> None:
    """SIGKILL of the supervisor: the kernel ends PostgreSQL, its workers and Kafka."""
    with supervisor_process(folder) as process:
        started = pids(folder)
        everything = [*started, *(p.pid for pid in started for p in psutil.Process(pid).children(recursive=True))]
        assert len(everything) > 4
        process.kill()
        await until(lambda: not any(psutil.pid_exists(pid) for pid in everything))


def anybody_may_run(program: str) -> bool:
    path = Path(program).resolve()
    return all(step.stat().st_mode & 0o001 for step in (path, *path.parents))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else; otherwise every test is this one")
@pytest.mark.skipif(not anybody_may_run(sys.executable), reason="this Python lies where other accounts may not enter")
async def test_a_plain_user_needs_nothing(folder: Path) -> None:
    """The same, started by an account without rights."""
    os.chown(folder, pwd.getpwnam("daemon").pw_uid, -1)
    with supervisor_process(folder, "daemon") as process:
        assert {psutil.Process(pid).username() for pid in pids(folder)} == {"daemon"}
        process.terminate()


async def test_a_second_copy_is_told_who_holds_the_home(own_stack: LocalStack) -> None:
    """Two copies never share a folder; the message names the process that has it."""
    second = LocalStack(own_stack.settings, own_stack.tools, own_stack.base, programs=())
    with pytest.raises(HomeInUse, match=f"in use by process {os.getpid()}"):
        async with second.running():
            pass


async def test_a_killed_postgres_comes_back_with_its_rows(own_stack: LocalStack) -> None:
    """SIGKILL of the postmaster while a worker is busy: what was committed is there again."""
    connection = await own_stack.postgres.connect(SUPERUSER, DATABASE)
    await connection.execute("create table kept as select 1 as number")
    busy = asyncio.create_task(connection.execute("select pg_sleep(60)"))
    child = own_stack.supervisor.child("postgres")
    assert child.process is not None
    os.kill(child.process.pid, signal.SIGKILL)
    await until(lambda: child.restarts == 1 and child.state == "ready")
    again = await own_stack.postgres.connect(SUPERUSER, DATABASE)
    assert await again.fetchval("select number from kept") == 1
    await again.close()
    with contextlib.suppress(Exception):
        await busy
    connection.terminate()


async def test_a_killed_kafka_comes_back(own_stack: LocalStack) -> None:
    """SIGKILL of the broker: it is restarted on the same port, and the status counts it."""
    child = own_stack.supervisor.child("kafka")
    assert child.process is not None
    os.kill(child.process.pid, signal.SIGKILL)
    await until(lambda: child.restarts == 1 and child.state == "ready")
    await kafka(own_stack.kafka.port)()
    assert own_stack.home.read_status()["services"]["kafka"]["restarts"] == 1


async def test_the_second_start_is_quick_and_finds_its_data(folder: Path) -> None:
    """Stopped and started again: the same cluster, in seconds."""
    settings = LocalSettings(home=folder, cache_dir=LocalSettings().cache, kafka_port=0)
    stack = LocalStack(settings, ensure(settings, Silent()), dict(os.environ), programs=())
    async with stack.running():
        formatted = (stack.kafka.data / "meta.properties").read_text()
    began = time.monotonic()
    async with stack.running():
        assert time.monotonic() - began < 12
        assert (stack.kafka.data / "meta.properties").read_text() == formatted


def shell(name: str, script: str, **options: float) -> Service:
    async def ready() -> None:
        await asyncio.sleep(0)

    return Service(name, ("/bin/sh", "-c", script), ready, dict(os.environ), **options)  # type: ignore[arg-type]


async def test_a_service_that_cannot_go_on_says_why(tmp_path: Path) -> None:
    """Exit code 2 before the first readiness is final: its last line is the message, and nobody waits."""

    async def never() -> None:
        raise ConnectionRefusedError

    script = "echo 'no database address (set ATTUNE_DATABASE_URL)'; exit 2"
    service = Service("alerts", ("/bin/sh", "-c", script), never, dict(os.environ))
    supervisor = Supervisor(tmp_path)
    with pytest.raises(ChildFailed, match="alerts did not become ready: no database address"):
        await asyncio.wait_for(supervisor.start([service]), 5)
    await supervisor.stop()


async def test_a_predecessor_that_does_not_go_is_waited_for(tmp_path: Path) -> None:
    """What cannot be started because its disk still holds the one before is tried again, and says why."""
    starts = 0

    async def before() -> None:
        nonlocal starts
        starts += 1
        if starts == 2:
            raise ChildFailed("process 7 was killed and does not go")

    supervisor = Supervisor(tmp_path)
    await supervisor.start([replace(shell("broker", "sleep 600"), before=before)])
    os.kill(supervisor.child("broker").report()["pid"], signal.SIGKILL)
    await until(lambda: starts == 3 and supervisor.child("broker").state == "ready")
    assert "broker could not be started: process 7 was killed" in (tmp_path / "broker.log").read_text()
    await supervisor.stop()


async def test_what_ignores_the_request_to_stop_is_killed_with_its_children(tmp_path: Path) -> None:
    """After the deadline the whole group goes."""
    supervisor = Supervisor(tmp_path)
    note = tmp_path / "pid"
    await supervisor.start([shell("deaf", f"trap '' TERM; sleep 600 & echo $! >{note}; wait", stop_seconds=0.3)])
    await until(lambda: note.exists() and bool(note.read_text()))
    await supervisor.stop()
    grandchild = int(note.read_text())
    await until(lambda: not psutil.pid_exists(grandchild) or psutil.Process(grandchild).status() == "zombie")


def test_a_taken_port_gives_way() -> None:
    """A default that somebody has is replaced by a free one; numbers asked for together differ."""
    first, second = choose(0, 0)
    assert first != second
