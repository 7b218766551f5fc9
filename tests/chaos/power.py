"""A power cut: Kafka dies, and what it had acknowledged in its last seconds was not yet on the disk."""

from __future__ import annotations

import signal
import time
from dataclasses import replace

from tests.chaos.faults import ready
from tests.cut_log import cut
from tests.whole_road import Road, until

OURS = ("session-events", "alliance-scores", "attune-scoring-episodes-changelog", "dead-letters", "risk-items")


async def power_cut(road: Road, seconds: float = 2.0) -> int:
    """Kill Kafka and take its logs' last seconds before it starts again; how many batches were lost."""
    child = road.stack.supervisor.child("kafka")
    service, before = child.service, child.service.before
    lost: list[int] = []

    async def lose() -> None:
        if before is not None:
            await before()
        if not lost:
            since = int((time.time() - seconds) * 1000)
            lost.append(cut(road.stack.kafka.data, since, lambda topic: topic in OURS))

    pid = road.pid("kafka")
    child.service = replace(service, before=lose)
    road.signal("kafka", signal.SIGKILL)

    async def again() -> bool:
        return bool(child.report()["pid"] not in (None, pid))

    await until(again, "Kafka is started again", within=60)
    await ready(road, "kafka")
    child.service = service
    return lost[0]
