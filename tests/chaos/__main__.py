"""`make chaos`: every fault there is, under a steady load, and one table of what it did."""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import astuple, dataclass
from statistics import median

from rich.console import Console
from rich.table import Table

from tests.chaos import between, clocks, deletion, disks, overload, poison
from tests.chaos.faults import OURS, PARTS, ended, frozen, killed
from tests.chaos.load import Load, care
from tests.chaos.power import power_cut
from tests.chaos.replicas import replica
from tests.chaos.run import CannotBeHad, Run, Scenario
from tests.chaos.verdict import Verdict, judge
from tests.whole_road import Road, whole_road

SMALL = {"ATTUNE_RECONCILE_SECONDS": "2", "ATTUNE_RECONCILE_AGE_SECONDS": "4"}
"""The reconciler in a hurry: what takes minutes in a clinic takes seconds here."""


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
    "killed": Scenario(kills),
    "killed in pairs": Scenario(pairs),
    "frozen": Scenario(freezes, most=12),
    "ended in order": Scenario(restarts, most=12),
    "scaled out and in": Scenario(scale),
    "power cut": Scenario(power_cuts),
    **deletion.SCENARIOS,
    **between.SCENARIOS,
    **clocks.SCENARIOS,
    **disks.SCENARIOS,
    **poison.SCENARIOS,
    **overload.SCENARIOS,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    name: str
    run: Run | None
    """None where it could not be played."""
    posts: int = 0
    verdict: Verdict | None = None
    fault: str = ""

    @property
    def fine(self) -> bool:
        return self.run is None or bool(self.verdict and self.verdict.whole)


async def play(name: str, given: argparse.Namespace, console: Console) -> Outcome:
    """One scenario on a system of its own."""
    scenario = SCENARIOS[name]
    try:
        scenario.demand()
    except CannotBeHad as error:
        return Outcome(name, None, fault=str(error))
    began = time.monotonic()
    async with whole_road(scenario.stack, **SMALL) as road:
        load = Load(road, per_second=60)
        run = Run(road, load, random.Random(given.seed), min(given.kills, scenario.most), given.seconds)
        with console.status(f"{name}: {run.times} times, seed {given.seed}"):
            outcome = await _judged(name, scenario, run, given.seed)
        console.print(f"{name}: {len(run.again)} faults, {len(road.accepted)} posts, {time.monotonic() - began:.0f} s")
        return outcome


async def _judged(name: str, scenario: Scenario, run: Run, seed: int) -> Outcome:
    """Under load, then once nothing moves any more."""
    road = run.road
    try:
        async with run.load.running(care(seed, clients=200)):
            await scenario.play(run)
        await road.settled()
        return Outcome(name, run, len(road.accepted), await judge(road))
    except (AssertionError, TimeoutError) as error:
        kept = shutil.copytree(road.stack.home.logs, tempfile.mkdtemp(prefix="attune-chaos-"), dirs_exist_ok=True)
        return Outcome(name, run, len(road.accepted), fault=f"{type(error).__name__} {error}; logs: {kept}")


def table(outcomes: list[Outcome]) -> Table:
    """What a person wants to know of it."""
    made = Table("fault", "times", "posts", "lost", "doubled", "wrong", "untrue", "whole again: median", "worst")
    for each in outcomes:
        again = each.run.again if each.run else []
        said = [str(count) for count in astuple(each.verdict)] if each.verdict else [each.fault, "", "", ""]
        seconds = [f"{median(again):.1f} s", f"{max(again):.1f} s"] if again else ["", ""]
        made.add_row(each.name, str(len(again)), str(each.posts), *said, *seconds, style=None if each.fine else "red")
    return made


def main() -> int:
    """Play the scenarios; 1 when anything was lost, doubled or wrong."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--only", choices=SCENARIOS, action="append", help="this scenario; may be repeated")
    parser.add_argument("--kills", type=int, default=50, help="how often each kind happens (default: 50)")
    parser.add_argument("--seconds", type=float, default=300, help="how long the overload lasts (default: 300)")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    console = Console(width=150)
    outcomes = [asyncio.run(play(name, given, console)) for name in given.only or SCENARIOS]
    console.print(table(outcomes))
    for each in outcomes:
        for note in each.run.notes if each.run else [f"not played: {each.fault}"]:
            console.print(f"{each.name}: {note}")
    return 0 if all(each.fine for each in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
