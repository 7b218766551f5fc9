"""What an episode of 20 sessions takes in the memory of a worker, beside its history's own bytes."""

from __future__ import annotations

import asyncio
import resource
import sys
from pathlib import Path

import msgspec
import uvloop

from services.platform import process
from services.scoring import state
from services.scoring.app import build_app
from services.scoring.ports import Change
from services.scoring.settings import ScoringSettings
from tests.benchmarks.harness import Question, Row, beside
from tests.scoring_facts import Bench, as_record, caseload

EPISODES, SESSIONS, CALM = 5_000, 20, 500
ASKED = Question(
    "memory",
    "memory per episode of 20 sessions in the table",
    "its facts, encoded (rows, as in its state)",
    "bytes",
    times_at_most=2,
)


async def rows(rounds: int) -> list[Row]:
    """The worker's own table, filled as recovery fills it, in a process of its own: what the process grew by."""
    taken = [await _run() for _ in range(rounds)]
    held, facts, encoded = zip(*taken, strict=True)
    note = f"the whole state, with the steps that an append resumes from: {encoded[0]:,.0f} bytes"
    return [beside(ASKED, list(zip(held, facts, strict=True)), note)]


async def _run() -> tuple[float, float, float]:
    command = (sys.executable, "-m", "tests.benchmarks.memory")
    child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await asyncio.wait_for(child.communicate(), 120)
    held, facts, encoded = map(float, out.decode().split())
    return held, facts, encoded


def states(clients: int, sessions: int) -> dict[bytes, bytes]:
    """The encoded episodes of some clients, as the scorer leaves them."""
    bench = Bench()
    bench.take([as_record(fact) for fact in caseload(11, clients, sessions)])
    return {key: value for key, value in bench.table.items() if value is not None}


def copies(made: list[bytes], start: int, count: int) -> list[Change]:
    """Changes for clients that share some histories: each has bytes of its own, as if read from the changelog."""
    return [
        Change("", 0, number, f"{number:073}".encode(), own(made[number % len(made)]))
        for number in range(start, start + count)
    ]


def own(value: bytes) -> bytes:
    return bytes(memoryview(value))


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def _measure() -> tuple[float, float, float]:
    made = list(states(CALM, SESSIONS).values())
    table = build_app(ScoringSettings()).episodes
    table.apply_changelog_batch(copies(made, 0, CALM))
    before = _resident()
    table.apply_changelog_batch(copies(made, CALM, EPISODES))
    held = (_resident() - before) / EPISODES
    facts = [len(msgspec.msgpack.encode(tuple(state.decode(value).episode.facts.values()))) for value in made]
    return held, sum(facts) / len(made), sum(map(len, made)) / len(made)


if __name__ == "__main__":
    process.tune()
    sys.stdout.write(" ".join(map(str, uvloop.run(_measure()))))
