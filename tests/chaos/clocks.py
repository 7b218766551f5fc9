"""The clocks of our processes leap an hour, forth and back, each process for itself, in the middle of its work."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from services.local.child import Service
from services.local.stack import LocalStack, Program
from tests.chaos.faults import OURS, Fault, killed
from tests.chaos.run import CannotBeHad, Run, Scenario
from tests.whole_road import Road

LIBRARY = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
HOUR_SECONDS = 3_600


class OwnClocks(LocalStack):
    """Each of our processes reads the clock through a library that adds what a file says; timers stay as they are."""

    def offset(self, name: str) -> Path:
        return self.home.root / f"clock-of-{name}"

    def set_clock(self, name: str, seconds: int) -> None:
        """From the next look on; replaced as a whole, as it is read all the time."""
        part = self.offset(name).with_suffix(".part")
        part.write_text(f"{seconds:+d}s\n", encoding="ascii")
        part.replace(self.offset(name))

    def _service(self, program: Program) -> Service:
        service = super()._service(program)
        self.set_clock(program.name, 0)
        faked = {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self.offset(program.name)),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }
        return replace(service, environment={**service.environment, **faked})


def leapt(name: str, seconds: int) -> Fault:
    """One process's clock from now on is so many seconds from the world's."""

    async def happen(road: Road) -> None:
        assert isinstance(road.stack, OwnClocks)
        road.stack.set_clock(name, seconds)

    return happen


async def leaps(run: Run) -> None:
    """An hour forth, an hour back, right again, one process after the other; some are killed while they are off."""
    for place in range(run.times):
        name = OURS[place % len(OURS)]
        await run.happen(leapt(name, run.rng.choice((1, -1)) * (HOUR_SECONDS + run.rng.randrange(60))))
        if run.rng.random() < 0.3:
            await run.happen(killed(name))
        if run.rng.random() < 0.7:
            await run.happen(leapt(name, 0))


def demand() -> None:
    if LIBRARY is None or not os.access(LIBRARY, os.R_OK):
        raise CannotBeHad("no libfaketime on this machine: install Debian's package of that name")


SCENARIOS = {"clock leaps an hour": Scenario(leaps, OwnClocks, most=24, demand=demand)}
