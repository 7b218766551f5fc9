"""More of the same service beside the first."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.local import ports, probes
from services.local.child import Service
from services.local.ports import LOOPBACK
from services.local.settings import CHECKOUT
from services.local.stack import SERVICES
from tests.whole_road import Road


@asynccontextmanager
async def replica(road: Road, name: str, number: int) -> AsyncIterator[str]:
    """Another process of a service, under its own name in the supervisor; ended in order at the end."""
    program = next(each for each in SERVICES if each.name == name)
    (port,) = ports.choose(0)
    address = f"http://{LOOPBACK}:{port}"
    own = f"{name}-{number}"
    service = Service(
        name=own,
        command=(sys.executable, "-m", program.module),
        probe=probes.http(f"{address}/readyz"),
        environment=road.stack.environment(program.role, port),
        address=address,
        folder=CHECKOUT,
    )
    supervisor = road.stack.supervisor
    await supervisor.start([service])
    group = supervisor.groups[-1]
    try:
        yield own
    finally:
        await group[0].stop()
        supervisor.groups.remove(group)
