"""Faults between our processes and Kafka or PostgreSQL, through a proxy before each."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from tests.chaos.faults import Fault
from tests.chaos.proxy import Proxy, Recognise
from tests.chaos.run import Run, Scenario
from tests.chaos.stacks import BehindProxies
from tests.whole_road import Road

AWAY_SECONDS = 10.0
SLOW_SECONDS, SLOW_BY = 10.0, 0.2
REQUEST_WITHIN = 60.0
PRODUCE, END_TXN = 0, 26
HEAD = 12
"""Bytes of a request of Kafka's before its own: length, kind, version, number."""
TURNS = (("kafka",), ("postgres",), ("kafka", "postgres"))


def kafka_request(kind: int) -> Recognise:
    """A request of this kind, in Kafka's protocol.

    >>> kafka_request(END_TXN)(bytes.fromhex("00000020 001a 0003 00000007 0000"))
    True
    """
    return lambda chunk: len(chunk) > HEAD and int.from_bytes(chunk[4:6]) == kind


def commit(chunk: bytes) -> bool:
    """PostgreSQL's client asks for the end of its transaction."""
    return b"COMMIT" in chunk


def proxy(road: Road, name: str) -> Proxy:
    assert isinstance(road.stack, BehindProxies)
    return {"kafka": road.stack.to_kafka, "postgres": road.stack.to_postgres}[name]


def silent(*names: str) -> Fault:
    async def happen(road: Road) -> None:
        async with AsyncExitStack() as held:
            for name in names:
                await held.enter_async_context(proxy(road, name).silent())
            await asyncio.sleep(AWAY_SECONDS)  # the fault itself

    return happen


def slow(*names: str) -> Fault:
    async def happen(road: Road) -> None:
        async with AsyncExitStack() as held:
            for name in names:
                await held.enter_async_context(proxy(road, name).slow(SLOW_BY))
            await asyncio.sleep(SLOW_SECONDS)  # the fault itself

    return happen


def reset(*names: str) -> Fault:
    async def happen(road: Road) -> None:
        assert sum(proxy(road, name).reset() for name in names), "nothing was connected"

    return happen


def unanswered(name: str, request: Recognise) -> Fault:
    async def happen(road: Road) -> None:
        await proxy(road, name).cut_answer(request, REQUEST_WITHIN)

    return happen


async def unreachable(run: Run) -> None:
    """Kafka, PostgreSQL, then both: nothing passes for ten seconds, and nobody is told."""
    for place in range(run.times):
        await run.happen(silent(*TURNS[place % 3]))


async def slowness(run: Run) -> None:
    """Every byte takes 200 ms longer, each way."""
    for place in range(run.times):
        await run.happen(slow(*TURNS[place % 3]))


async def resets(run: Run) -> None:
    """Every connection there is breaks off at a random moment."""
    for _ in range(run.times):
        await run.happen(reset(*run.rng.choice(TURNS)))


async def commits_unanswered(run: Run) -> None:
    """The commit is done, or the record written, and the connection breaks off before the answer."""
    moments = (("postgres", commit), ("kafka", kafka_request(END_TXN)), ("kafka", kafka_request(PRODUCE)))
    for place in range(run.times):
        await run.happen(unanswered(*moments[place % len(moments)]))


SCENARIOS = {
    "unreachable": Scenario(unreachable, BehindProxies, most=6),
    "slow": Scenario(slowness, BehindProxies, most=6),
    "reset": Scenario(resets, BehindProxies, most=30),
    "reset in mid-commit": Scenario(commits_unanswered, BehindProxies, most=40),
}
