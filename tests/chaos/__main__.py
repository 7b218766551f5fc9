"""`make chaos`: every fault there is, under a steady load, and one table of what it did."""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import astuple, dataclass, field
from statistics import median

from rich.console import Console
from rich.table import Table

from tests.chaos.faults import OURS, PARTS, ended, frozen, killed
from tests.chaos.load import Load, care
from tests.chaos.power import power_cut
from tests.chaos.replicas import replica
from tests.chaos.verdict import Verdict, judge, whole_again
from tests.whole_road import Road, whole_road

Scenario = Callable[["Run"], Awaitable[None]]
SMALL = {"ATTUNE_RECONCILE_SECONDS": "2", "ATTUNE_RECONCILE_AGE_SECONDS": "4"}
"""The reconciler in a hurry: what takes minutes in a clinic takes seconds here."""


@dataclass
class Run:
    """One scenario: its system, its chance, and what it saw."""

    road: Road
    rng: random.Random
    times: int
    again: list[float] = field(default_factory=list)

    async def happen(self, fault: Callable[[Road], Awaitable[object]]) -> None:
        """A fault at a random moment, and how long until all is whole again."""
        await asyncio.sleep(self.rng.uniform(0.2, 2.0))  # a random moment is the point
        await fault(self.road)
        self.again.append(await whole_again(self.road))


async def kills(run: Run) -> None:
    for _ in range(run.times):
        await run.happen(killed(run.rng.choice(PARTS)))


async def pairs(run: Run) -> None:
    for _ in range(run.times):
        await run.happen(killed(*run.rng.sample(PARTS, 2)))


async def freezes(run: Run) -> None:
    for place in range(run.times):
        await run.happen(frozen(PARTS[place % len(PARTS)]))


async def restarts(run: Run) -> None:
    for place in range(run.times):
        await run.happen(ended(OURS[place % len(OURS)]))


async def scale(run: Run) -> None:
    """Two more scoring workers and a second of everything else come, one of them dies, and they go."""
    for _ in range(max(1, run.times // 10)):
        async with AsyncExitStack() as more:
            for name, number in (("scoring", 2), ("scoring", 3), ("ingest", 2), ("relay", 2), ("alerts", 2)):
                own = await more.enter_async_context(replica(run.road, name, number))
                await run.happen(_nothing)
                if run.rng.random() < 0.5:
                    await run.happen(killed(own))
            await run.happen(frozen("scoring"))
            await run.happen(killed("alerts", "relay"))
        await run.happen(_nothing)


async def _nothing(_: Road) -> None:
    """Only the coming and going."""


async def power_cuts(run: Run) -> None:
    for _ in range(max(1, run.times // 10)):
        await run.happen(power_cut)


SCENARIOS: dict[str, Scenario] = {
    "killed": kills,
    "killed in pairs": pairs,
    "frozen": freezes,
    "ended in order": restarts,
    "scaled out and in": scale,
    "power cut": power_cuts,
}
RARE = {"frozen": 12, "ended in order": 12}
"""How often at most: each takes its time."""


@dataclass(frozen=True, slots=True)
class Outcome:
    name: str
    times: int
    posts: int
    verdict: Verdict | None
    again: list[float]
    fault: str = ""


async def play(name: str, seed: int, times: int, console: Console) -> Outcome:
    """One scenario on a system of its own."""
    began = time.monotonic()
    async with whole_road(**SMALL) as road:
        run = Run(road, random.Random(seed), min(times, RARE.get(name, times)))
        try:
            async with Load(road, per_second=60).running(care(seed, clients=200)):
                with console.status(f"{name}: {run.times} times, seed {seed}"):
                    await SCENARIOS[name](run)
            await road.settled()
            verdict, fault = await judge(road), ""
        except AssertionError as error:
            kept = shutil.copytree(road.stack.home.logs, tempfile.mkdtemp(prefix="attune-chaos-"), dirs_exist_ok=True)
            verdict, fault = None, f"{error}; logs: {kept}"
        console.print(f"{name}: {len(run.again)} faults, {len(road.accepted)} posts, {time.monotonic() - began:.0f} s")
        return Outcome(name, len(run.again), len(road.accepted), verdict, run.again, fault)


def table(outcomes: list[Outcome]) -> Table:
    """What a person wants to know of it."""
    made = Table("fault", "times", "posts", "lost", "doubled", "wrong", "untrue", "whole again: median", "worst")
    for each in outcomes:
        said = [str(count) for count in astuple(each.verdict)] if each.verdict else [f"[red]{each.fault}", "", "", ""]
        seconds = [f"{median(each.again):.1f} s", f"{max(each.again):.1f} s"] if each.again else ["", ""]
        made.add_row(each.name, str(each.times), str(each.posts), *said, *seconds)
    return made


def main() -> int:
    """Play the scenarios; 1 when anything was lost, doubled or wrong."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--only", choices=SCENARIOS, action="append", help="this scenario; may be repeated")
    parser.add_argument("--kills", type=int, default=50, help="how often each kind happens (default: 50)")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    console = Console(width=150)
    outcomes = [asyncio.run(play(name, given.seed, given.kills, console)) for name in given.only or SCENARIOS]
    console.print(table(outcomes))
    return 0 if all(each.verdict and each.verdict.whole for each in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
