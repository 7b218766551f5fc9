"""What happens to a system: parts die, stand still, lose what they had not yet written."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable

from tests.whole_road import SESSION_TIMEOUT_SECONDS, Road, until

OURS = ("ingest", "relay", "scoring", "alerts")
PARTS = (*OURS, "kafka", "postgres")
Fault = Callable[[Road], Awaitable[None]]


def killed(*names: str) -> Fault:
    """SIGKILL, all at once; over when the supervisor has them up again."""

    async def happen(road: Road) -> None:
        before = {name: road.pid(name) for name in names}
        for name in names:
            road.signal(name, signal.SIGKILL)
        await asyncio.gather(*(road.restarted(name, pid) for name, pid in before.items()))

    return happen


def frozen(name: str, seconds: float = SESSION_TIMEOUT_SECONDS + 2) -> Fault:
    """SIGSTOP for longer than a session lasts, then SIGCONT: what it does then, it does too late."""

    async def happen(road: Road) -> None:
        road.signal(name, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)  # the fault itself
        finally:
            road.signal(name, signal.SIGCONT)
        await ready(road, name)

    return happen


def ended(name: str) -> Fault:
    """SIGTERM: an orderly end, and the next process takes over."""

    async def happen(road: Road) -> None:
        before = road.pid(name)
        road.signal(name, signal.SIGTERM)
        await road.restarted(name, before)

    return happen


async def ready(road: Road, name: str) -> None:
    async def answers() -> bool:
        return bool(road.stack.supervisor.child(name).report()["state"] == "ready")

    await until(answers, f"{name} is ready", within=60)
