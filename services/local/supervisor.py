"""Keeps a few processes alive: groups start in order, end in reverse order, and what dies is started again."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from services.local.child import Service, end, exited, kill_group, spawn
from services.local.errors import ChildFailed
from services.platform.errors import AttuneError

State = Literal["starting", "ready", "restarting", "failed", "stopping", "stopped"]
PROBE_SECONDS = 0.05
PROBE_LIMIT = 5.0
DEATHS_ALLOWED = 3
"""Before the first readiness; afterwards a service is restarted for ever."""
CANNOT_GO_ON = 2
"""A service's exit code for an expected failure, such as bad settings: starting it again changes nothing."""
QUIET_SECONDS = 30.0


def pause(deaths: int) -> float:
    """Seconds before the next start, after so many deaths in short order.

    >>> [pause(n) for n in (1, 2, 3, 10)]
    [0.25, 0.5, 1.0, 10.0]
    """
    return min(0.25 * 2.0 ** (deaths - 1), 10.0)


@dataclass(slots=True)
class Child:
    """One service and its present process."""

    service: Service
    log: Path
    changed: Callable[[], None]
    state: State = "starting"
    restarts: int = 0
    process: subprocess.Popen[bytes] | None = None
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it is ready for the first time, or has failed for good."""
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        self._task = asyncio.create_task(self._keep(), name=f"keep {self.service.name}")

    async def stop(self) -> None:
        self._stop.set()
        if self.process:
            self._enter("stopping")
            await end(self.process, by=self.service.stop_signal, within=self.service.stop_seconds)
        if self._task:
            await self._task
        self._enter("stopped")

    def report(self) -> dict[str, Any]:
        alive = self.process is not None and self.process.poll() is None
        return {
            "state": self.state,
            "pid": self.process.pid if self.process and alive else None,
            "address": self.service.address,
            "restarts": self.restarts,
            "log": str(self.log),
            **self.service.extra,
        }

    def failure(self) -> ChildFailed:
        return ChildFailed(
            f"{self.service.name} did not become ready: {_last_line(self.log) or 'it said nothing'}",
            hint=f"see {self.log}",
        )

    def _enter(self, state: State) -> None:
        self.state = state
        self.changed()

    async def _keep(self) -> None:
        deaths = 0
        while not self._stop.is_set() and self.state != "failed":
            lived = await self._live()
            if self._stop.is_set():
                return
            deaths = 1 if lived > QUIET_SECONDS else deaths + 1
            if not self.settled.is_set() and (deaths >= DEATHS_ALLOWED or self._cannot_go_on()):
                self._enter("failed")
                self.settled.set()
                return
            self.restarts += 1
            self._enter("restarting")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), pause(deaths))

    def _cannot_go_on(self) -> bool:
        return self.process is not None and self.process.returncode == CANNOT_GO_ON

    async def _live(self) -> float:
        """Start it and wait for its end; the seconds that it lived."""
        began = time.monotonic()
        try:
            if self.service.before:
                await self.service.before()
            if not self._stop.is_set():
                self.process = spawn(self.service, self.log)
                self._enter("restarting" if self.restarts else "starting")
                await self._until_gone(self.process)
        except OSError as error:
            self._note(f"{self.service.command[0]} could not be started: {error.strerror}")
        except ChildFailed as error:  # a predecessor that does not go may be gone the next time
            self._note(f"{self.service.name} could not be started: {error}")
        return time.monotonic() - began

    async def _until_gone(self, process: subprocess.Popen[bytes]) -> None:
        watch = asyncio.create_task(self._watch())
        try:
            await exited(process)
        finally:
            watch.cancel()
            with suppress(asyncio.CancelledError):
                await watch
            kill_group(process)

    def _note(self, line: str) -> None:
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"{line}\n")

    async def _watch(self) -> None:
        while not await _answers(self.service):  # noqa: ASYNC110 - only asking tells
            await asyncio.sleep(PROBE_SECONDS)
        self._enter("ready")
        self.settled.set()


async def _answers(service: Service) -> bool:
    try:
        await asyncio.wait_for(service.probe(), PROBE_LIMIT)
    except (OSError, TimeoutError, AttuneError):
        return False
    return True


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


@dataclass(slots=True)
class Supervisor:
    """Children in the order of their start."""

    logs: Path
    on_change: Callable[[dict[str, Any]], None] = lambda _: None
    groups: list[list[Child]] = field(default_factory=list)

    async def start(self, services: Sequence[Service]) -> None:
        """Start these together and return when all are ready.

        Raises:
            ChildFailed: one of them cannot; the others are left for `stop`.
        """
        group = [Child(service, self._fresh_log(service.name), self._changed) for service in services]
        self.groups.append(group)
        for child in group:
            child.begin()
        await asyncio.gather(*(_ready(child) for child in group))

    async def stop(self) -> None:
        """End everything, the last group first."""
        while self.groups:
            await asyncio.gather(*(child.stop() for child in self.groups[-1]))
            self.groups.pop()

    def report(self) -> dict[str, Any]:
        return {child.service.name: child.report() for group in self.groups for child in group}

    def child(self, name: str) -> Child:
        return next(child for group in self.groups for child in group if child.service.name == name)

    def _changed(self) -> None:
        self.on_change(self.report())

    def _fresh_log(self, name: str) -> Path:
        log = self.logs / f"{name}.log"
        if log.exists():
            log.replace(self.logs / f"{name}.1.log")
        return log


async def _ready(child: Child) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(child.settled.wait(), child.service.start_seconds)
    if child.state != "ready":
        raise child.failure()
