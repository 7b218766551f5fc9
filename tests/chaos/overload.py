"""More than the system takes, for minutes, by one clinic; then a backfill. Another clinic posts at its usual pace."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psutil
from sqlalchemy import text

from services.local.settings import CHECKOUT
from tests.chaos.faults import OURS
from tests.chaos.run import Run, Scenario
from tests.whole_road import Road, another_clinic, until

QUIET_SECONDS = 30.0
USUAL_SESSIONS = 5
PROBE_SECONDS = 1.0
MOST_MEMORY_MB = 1_024
TABLE_KB = 0.9
"""A fact in scoring's table, whose episodes stay for good (`python -m tests.benchmarks --only memory`)."""
RECENT, LONG_AGO = 0.0, 400.0
"""Days ago: what happened long ago is history, and waits behind what happens now."""
SLOWDOWN_AIM, ALERT_AIM_SECONDS = 2.0, 5.0
DRAIN_SECONDS = 1_800.0
ALLOWED = {"200", "201", "429", "503"}
ALERTED = text("""
    select i.event_id from ingest.inbox i join alerts.alert a using (tenant_id, episode_id)
    where i.tenant_id = :tenant and i.event_id = any(cast(:ids as uuid[])) and a.kind = 'rupture-possible'
""")
HELD = text("""
    select count(*) from unnest(cast(:ids as uuid[])) as given(event_id)
    join ingest.outcome o on o.tenant_id = :tenant and o.event_id = given.event_id and o.outcome = 'scored'
""")


def p99(seconds: list[float]) -> float:
    """Not a number where there are hardly any.

    >>> p99([0.1] * 99 + [1.0])
    1.0
    """
    return sorted(seconds)[int(len(seconds) * 0.99)] if seconds else float("nan")


def falling(client: str, session: int, now: datetime) -> dict[str, Any]:
    """A client as usual for some sessions, then one that anybody would look at."""
    return {
        "type": "rating.submitted",
        "id": f"{client}-{session}",
        "client": client,
        "clinician": "T-1",
        "session": f"{client}-{session}",
        "occurred_at": (now - timedelta(days=USUAL_SESSIONS - session)).isoformat(),
        "rating": {"instrument": "srs@3", "total": 36.0 if session < USUAL_SESSIONS else 20.0},
    }


@dataclass
class Probe:
    """Posts one rating a second that has to become an alert, and sees when it is one."""

    road: Road
    name: str
    seconds: list[float] = field(default_factory=list)
    posted: dict[uuid.UUID, float] = field(default_factory=dict)

    @asynccontextmanager
    async def running(self, most: int) -> AsyncIterator[Probe]:
        now = datetime.now(UTC).replace(microsecond=0)
        clients = [f"{self.name}-{number}" for number in range(most)]
        await self.road.post([falling(each, session, now) for session in range(USUAL_SESSIONS) for each in clients])
        tasks = [asyncio.create_task(self._post(clients, now)), asyncio.create_task(self._look())]
        try:
            yield self
            await until(self._all_seen, "every rating that fell is an alert", within=DRAIN_SECONDS)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _all_seen(self) -> bool:
        return not self.posted

    async def _post(self, clients: list[str], now: datetime) -> None:
        async with httpx.AsyncClient(base_url=self.road.stack.address("ingest"), headers=self.road.headers) as client:
            for each in clients:
                answer = await client.post("/v1/events", json=falling(each, USUAL_SESSIONS, now), timeout=60)
                if answer.is_success:
                    taken = answer.json()["id"]
                    self.road.accepted.add(taken)
                    self.posted[uuid.UUID(taken)] = time.monotonic()
                await asyncio.sleep(PROBE_SECONDS)

    async def _look(self) -> None:
        async with self.road.database.connect() as connection:
            while True:
                if ids := list(self.posted):
                    values = {"tenant": self.road.tenant, "ids": ids}
                    for found in (await connection.execute(ALERTED, values)).scalars().all():
                        self.seconds.append(time.monotonic() - self.posted.pop(found))
                await asyncio.sleep(0.05)


@dataclass
class Memory:
    """The most that each of our services ever held, in MB."""

    road: Road
    at_first: dict[str, float] = field(default_factory=dict)
    most: dict[str, float] = field(default_factory=dict)

    def look(self) -> None:
        for name in OURS:
            held = psutil.Process(self.road.pid(name)).memory_info().rss / 1e6
            self.at_first.setdefault(name, held)
            self.most[name] = max(held, self.most.get(name, 0.0))

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[Memory]:
        async def watch() -> None:
            while True:
                self.look()
                await asyncio.sleep(1)

        self.look()
        task = asyncio.create_task(watch())
        try:
            yield self
        finally:
            task.cancel()

    def __str__(self) -> str:
        return ", ".join(f"{name} {self.at_first[name]:.0f} to {self.most[name]:.0f}" for name in OURS)


async def flood(road: Road, seconds: float, days_ago: float) -> dict[str, Any]:
    """What the flooding process saw."""
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, "-m", "tests.chaos.flood", road.stack.address("ingest"), str(seconds), str(days_ago))
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, cwd=CHECKOUT)
    told, _ = await process.communicate(road.key.encode())
    assert process.returncode == 0, "the flood broke"
    seen: dict[str, Any] = json.loads(told)
    assert set(seen["statuses"]) <= ALLOWED, f"answered with {seen['statuses']}"
    assert not seen["unhinted"], f"{seen['unhinted']} refusals without Retry-After"
    return seen


async def drained(road: Road, seen: dict[str, Any]) -> float:
    """Seconds until everything that the flood was told is taken is scored."""
    began, values = time.monotonic(), {"tenant": road.tenant, "ids": seen["ids"]}

    async def done() -> bool:
        async with road.database.connect() as connection:
            found = (await connection.execute(HELD, values)).scalar_one()
        await asyncio.sleep(1)
        return bool(found == len(set(seen["ids"])))

    await until(done, "every event of the flood that got its 2xx is scored", within=DRAIN_SECONDS)
    return time.monotonic() - began


async def overload(run: Run) -> None:
    """Quiet, flooded, drained; quiet, backfilled, drained."""
    memory = Memory(run.road)
    async with memory.watched():
        quiet = await _slice(run, asyncio.sleep(QUIET_SECONDS))
        run.notes.append(f"quiet: 2xx p50 {statistics.median(quiet) * 1e3:.0f} ms, p99 {p99(quiet) * 1e3:.0f} ms")
        taken = await _flooded(run, "flood", run.seconds, RECENT, quiet)
        taken += await _flooded(run, "backfill", run.seconds / 2, LONG_AGO, quiet)
    table = taken * TABLE_KB / 1_000
    run.notes.append(f"memory in MB, at first and at most: {memory} ({table:.0f} of it the table of the flood)")
    memory.most["scoring"] -= table
    assert max(memory.most.values()) < MOST_MEMORY_MB, f"memory is not bounded: {memory}"


async def _flooded(run: Run, what: str, seconds: float, days_ago: float, quiet: list[float]) -> int:
    """How many events of it were taken."""
    loud = await another_clinic(run.road, f"{what}-{uuid.uuid4().hex[:8]}")
    async with Probe(run.road, what).running(int(seconds / PROBE_SECONDS)) as probe:
        seen: dict[str, Any] = {}

        async def flooding() -> None:
            seen.update(await flood(loud, seconds, days_ago))

        took = await _slice(run, flooding())
    run.again.append(await drained(loud, seen))
    slower, alerts = p99(took) / p99(quiet), p99(probe.seconds)
    run.notes.append(
        f"{what} of {seconds:.0f} s: {len(seen['ids'])} events taken, answers {seen['statuses']}, "
        f"all scored {run.again[-1]:.0f} s after its end; meanwhile the other clinic: "
        f"2xx p50 {statistics.median(took) * 1e3:.0f} ms, p99 {p99(took) * 1e3:.0f} ms, {slower:.1f} times the quiet "
        f"one (aim: {SLOWDOWN_AIM:g}), {len(probe.seconds)} alerts, p50 {statistics.median(probe.seconds):.1f} s, "
        f"p99 {alerts:.1f} s after their post (aim: {ALERT_AIM_SECONDS:g} s)"
    )
    return len(seen["ids"])


async def _slice(run: Run, work: Awaitable[object]) -> list[float]:
    """How long each post of the steady load took, while this lasted."""
    before = len(run.load.seconds)
    await work
    return run.load.seconds[before:]


SCENARIOS = {"overload": Scenario(overload, most=2)}
