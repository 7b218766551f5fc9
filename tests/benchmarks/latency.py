"""From a post's 2xx to its alert being readable, at 200 posts a second with everything on this machine."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any
from uuid import UUID

import asyncpg
import httpx

from tests.benchmarks.harness import Question, Row, alone
from tests.chaos.load import Load, care
from tests.whole_road import Road, whole_road

RATE, PROBES, WARM_SECONDS = 200, 120, 8
WHAT = "a post's 2xx to its alert readable, 200 posts/s: median"
P50 = Question("latency-p50", WHAT, "the steps' medians", "ms", at_most=60)
P99 = Question("latency-p99", "the same: 99th percentile", "-", "ms", at_most=150)
EPISODE = "select episode_id from ingest.inbox where tenant_id = $1 and event_id = $2"
READABLE = "select 1 from alerts.alert where tenant_id = $1 and episode_id = $2 and occurred_at = $3"
LOOK_SECONDS = 0.002
STEPS = """
    select extract(epoch from p.published_at - i.received_at) * 1000 as published,
           extract(epoch from o.at - p.published_at) * 1000 as scored,
           extract(epoch from a.opened_at - o.at) * 1000 as decided
    from ingest.inbox i join ingest.publication p using (tenant_id, event_id)
    join ingest.outcome o using (tenant_id, event_id)
    join alerts.alert a on a.tenant_id = i.tenant_id and a.occurred_at = i.occurred_at
    where i.tenant_id = $1 and i.external_id like 'probe-%-9'
"""


@dataclass
class Probe:
    """A client who has rated well for weeks, and then does not."""

    number: int
    begin: datetime

    def post(self, session: int, total: float) -> dict[str, Any]:
        at = self.begin + timedelta(days=session, seconds=self.number)
        return {
            "type": "rating.submitted",
            "id": f"probe-{self.number}-{session}",
            "client": f"P-{self.number}",
            "clinician": "T-1",
            "occurred_at": at.isoformat(),
            "rating": {"instrument": "srs@3", "total": total},
        }


async def rows(rounds: int) -> list[Row]:
    taken, sums = [], []
    async with whole_road() as road:
        begin = datetime.now(UTC).replace(microsecond=0) - timedelta(days=10)
        probes = [Probe(number, begin) for number in range(PROBES * rounds)]
        await road.post([probe.post(session, 38.0) for session in range(6) for probe in probes])
        await road.settled()
        connection = await asyncpg.connect(road.stack.postgres.url("postgres").replace("+asyncpg", ""))
        client = httpx.AsyncClient(base_url=road.stack.address("ingest"), headers=road.headers)
        async with client, Load(road, per_second=RATE, senders=32).running(care(seed=9, clients=1_500)):
            await asyncio.sleep(WARM_SECONDS)
            for number in range(rounds):
                some = probes[number * PROBES : (number + 1) * PROBES]
                taken.append(sorted([await _seen(road, connection, client, probe) for probe in some]))
        steps = await connection.fetch(STEPS, road.tenant)
        sums = [median(float(row[name]) for row in steps) for name in ("published", "scored", "decided")]
        await connection.close()
    note = "published after {:.0f}, scored after {:.0f} more, decided after {:.0f} more".format(*sums)
    return [
        alone(P50, [each[len(each) // 2] for each in taken], note),
        alone(P99, [each[int(len(each) * 0.99)] for each in taken]),
    ]


async def _seen(road: Road, connection: asyncpg.Connection, client: httpx.AsyncClient, probe: Probe) -> float:
    """Milliseconds from the answer to the alert."""
    post = probe.post(9, 20.0)
    answer = await client.post("/v1/events", json=post)
    began = time.perf_counter()
    answer.raise_for_status()
    road.accepted.add(answer.json()["id"])
    episode = await connection.fetchval(EPISODE, road.tenant, UUID(answer.json()["id"]))
    at = datetime.fromisoformat(post["occurred_at"])
    while not await connection.fetchval(READABLE, road.tenant, episode, at):  # noqa: ASYNC110 - a reader of the table
        await asyncio.sleep(LOOK_SECONDS)
    return (time.perf_counter() - began) * 1_000
