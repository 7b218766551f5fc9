"""How long a clinic's post takes beside one that floods the door, and beside one that brings in its past."""

from __future__ import annotations

import asyncio
import sys
import time

import httpx

from tests.benchmarks.door import Place, place, server
from tests.benchmarks.harness import Question, Row, beside, say
from tests.clinic import new_clinic, rating

PER_SECOND, SECONDS = 40, 10.0
LONG_AGO = 400
FLOOD = Question("fairness-flood", "2xx p99 of a clinic, another floods", "the same, quiet", "ms", times_at_most=2)
BACKFILL = Question("fairness-backfill", "the same, another brings in its past", "quiet", "ms", times_at_most=2)
DAYS_AGO = {FLOOD: 0, BACKFILL: LONG_AGO}


async def rows(rounds: int) -> list[Row]:
    taken: dict[Question, list[tuple[float, float | None]]] = {FLOOD: [], BACKFILL: []}
    async with place() as of_quiet:
        _, loud = await new_clinic(of_quiet.database, "loud")
        async with server(of_quiet, "services.ingest") as port:
            await _p99(port, of_quiet, "warm")
            for number in range(rounds):
                quiet = await _p99(port, of_quiet, f"quiet-{number}")
                for asked, pairs in taken.items():
                    pairs.append((await _beside(port, of_quiet, loud, asked, number), quiet))
                    say(f"  {asked.name} {number + 1}/{rounds}: {pairs[-1][0]:,.1f} beside {quiet:,.1f} ms")
    return [beside(asked, pairs) for asked, pairs in taken.items()]


async def _beside(port: int, of_quiet: Place, loud: str, asked: Question, number: int) -> float:
    command = ("-m", "tests.chaos.flood", f"http://127.0.0.1:{port}", str(SECONDS + 2), str(DAYS_AGO[asked] + number))
    pipe = asyncio.subprocess.PIPE
    flood = await asyncio.create_subprocess_exec(sys.executable, *command, stdin=pipe, stdout=pipe)
    told = asyncio.create_task(flood.communicate(loud.encode()))
    await asyncio.sleep(2)  # it starts, and fills the door's places
    slow = await _p99(port, of_quiet, f"{asked.name}-{number}")
    await told
    return slow


async def _p99(port: int, of_quiet: Place, name: str) -> float:
    """The 99th percentile of posts at a steady pace, in milliseconds, each begun on time whatever the last one does."""
    own = {"Authorization": f"Bearer {of_quiet.key}"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=own, timeout=60) as client:
        posts = []
        for number in range(int(PER_SECOND * SECONDS)):
            posts.append(asyncio.create_task(_post(client, f"{name}-{number}")))
            await asyncio.sleep(1 / PER_SECOND)
        took = sorted(await asyncio.gather(*posts))
    return took[int(len(took) * 0.99)] * 1_000


async def _post(client: httpx.AsyncClient, name: str) -> float:
    began = time.perf_counter()
    answer = await client.post("/v1/events", json=rating(client=name, id=name))
    assert answer.status_code == 201, answer.text
    return time.perf_counter() - began
