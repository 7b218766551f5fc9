"""One process that somebody else wrote: how it is started, found dead, and ended."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from services.local.errors import ChildFailed

if TYPE_CHECKING:
    import psutil

Probe = Callable[[], Awaitable[None]]
"""Returns when the process can do its work, raises `OSError` or `AttuneError` when it cannot yet."""
PR_SET_PDEATHSIG = 1
POLL_SECONDS = 0.05
GONE_SECONDS = 10.0
"""A killed process is gone at once, unless the kernel waits for its disk."""


@dataclass(frozen=True, slots=True)
class Account:
    """Whom a process runs as, when not as ourselves."""

    user: int
    group: int


@dataclass(frozen=True, slots=True)
class Service:
    """What to run and how to tell that it runs."""

    name: str
    command: tuple[str, ...]
    probe: Probe
    environment: Mapping[str, str]
    address: str = ""
    folder: Path = Path("/")
    before: Callable[[], Awaitable[None]] | None = None
    """Done before every start, the first and each one after a death."""
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    """Sent by the kernel when the supervisor is gone, however it went."""
    start_seconds: float = 60.0
    stop_seconds: float = 10.0
    extra: Mapping[str, str] = field(default_factory=dict)
    """Anything else the status should say."""


def spawn(service: Service, log: Path) -> subprocess.Popen[bytes]:
    """Start it in a session of its own, so that a Ctrl-C meant for us does not reach it.

    Call from the main thread: the death signal follows the thread that started the process.
    """
    account = service.account
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - the command is ours
            service.command,
            env=dict(service.environment),
            cwd=service.folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_dies_with_us(service.death_signal),  # noqa: PLW1509 - one prctl and one getppid, no locks
            user=account.user if account else None,
            group=account.group if account else None,
            extra_groups=[] if account else None,
        )


def _dies_with_us(number: signal.Signals) -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def bind() -> None:
        prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:  # died in between
            os._exit(1)

    return bind


async def exited(process: subprocess.Popen[bytes]) -> int:
    """Wait for its end on any event loop."""
    while (code := process.poll()) is None:  # noqa: ASYNC110 - the kernel sets it, nothing here could
        await asyncio.sleep(POLL_SECONDS)
    return code


async def end(process: subprocess.Popen[bytes], *, by: signal.Signals, within: float) -> None:
    """Ask, wait, then kill the whole group."""
    if process.poll() is not None:
        return
    process.send_signal(by)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(exited(process), within)
    if process.poll() is None:
        kill_group(process)
    await exited(process)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Whatever it started and left."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


async def end_orphans(folder: Path, *, patience: float = 3.0) -> None:
    """End what a killed predecessor left working in this folder. Only the holder of the home's lock may ask.

    Most orphans of a killed PostgreSQL leave by themselves; a busy one does not.

    Raises:
        ChildFailed: one that was killed does not go: the kernel waits for its disk.
    """
    import psutil  # noqa: PLC0415 - of the extra `local`; `attune` runs without it

    deadline = time.monotonic() + patience
    while (left := _working_in(folder)) and time.monotonic() < deadline:  # noqa: ASYNC110 - likewise
        await asyncio.sleep(POLL_SECONDS)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    deadline = time.monotonic() + GONE_SECONDS
    while left := _working_in(folder):
        if time.monotonic() > deadline:
            raise ChildFailed(f"process {left[0].pid} was killed and does not go", hint="is its disk well? `ps`, dmesg")
        await asyncio.sleep(POLL_SECONDS)


def _working_in(folder: Path) -> list[psutil.Process]:
    import psutil  # noqa: PLC0415 - likewise

    place = str(folder.resolve())
    return [process for process in psutil.process_iter(["cwd"]) if process.info["cwd"] == place]
