"""`make bench`: what has a number to keep, each beside its ceiling or peer, and docs/benchmarks.md written from it."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable

from rich.console import Console
from rich.table import Table

from tests.benchmarks import (
    alerts,
    append,
    backtest,
    door,
    fairness,
    latency,
    memory,
    profile,
    recovery,
    relay,
    report,
    scaling,
    scoring,
    sizes,
    standstill,
)
from tests.benchmarks.harness import Row, keep, say

FAMILIES: dict[str, Callable[[int], Awaitable[list[Row]]]] = {
    "append": append.rows,
    "backtest": backtest.rows,
    "memory": memory.rows,
    "scoring": scoring.road,
    "peers": scoring.peers,
    "door": door.rows,
    "fairness": fairness.rows,
    "recovery": recovery.rows,
    "scaling": scaling.rows,
    "relay": relay.rows,
    "alerts": alerts.rows,
    "latency": latency.rows,
    "standstill": standstill.rows,
    "sizes": sizes.rows,
}


def main() -> int:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", choices=FAMILIES, action="append", help="this family; may be repeated")
    parser.add_argument("--rounds", type=int, default=5, help="of ours and the peer in turn (default: 5)")
    parser.add_argument("--most-clients", type=int, default=1_000_000, help="of scaling's sizes, none larger")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md from all that is kept")
    parser.add_argument("--profile", action="store_true", help="where the time goes, instead of how much it is")
    given = parser.parse_args()
    if given.profile:
        for name in given.only or FAMILIES:
            profile.look(name, rounds=1)
        return 0
    rows: list[Row] = []
    for name in given.only or FAMILIES:
        say(f"{name}:")
        measured = asyncio.run(_family(name, given.rounds, given.most_clients))
        keep(measured)  # at once: a family that fails later takes nothing with it
        rows += measured
    if given.write:
        report.write()
    Console(width=150).print(_table(rows))
    return 0


async def _family(name: str, rounds: int, most_clients: int) -> list[Row]:
    return await (scaling.rows(rounds, most_clients) if name == "scaling" else FAMILIES[name](rounds))


def _table(rows: list[Row]) -> Table:
    made = Table("step", "beside", "ours", "beside it", "ratio", "aim", "reached")
    for row in rows:
        cells = report.cells(row)
        made.add_row(*cells)
    return made


if __name__ == "__main__":
    sys.exit(main())
