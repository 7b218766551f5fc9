"""The disk of Kafka or PostgreSQL is full, in the middle of the work, and somebody makes room again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from services.local.stack import LocalStack
from tests.chaos.faults import Fault, ready
from tests.chaos.run import CannotBeHad, Run, Scenario
from tests.whole_road import Road

MEGABYTES = {"kafka": 512, "postgres": 768}
FULL_SECONDS = 15.0
BALLAST = "ballast"
NO_SPACE = b"No space left on device"
BLOCK = 65_536


class SmallDisks(LocalStack):
    """Kafka's and PostgreSQL's data on a memory disk each, of a size that can be filled."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[LocalStack]:
        self.mounted: list[Path] = []
        try:
            async with super().running():
                yield self
        finally:
            for place in self.mounted:
                unmount(place)

    def disk(self, name: str) -> Path:
        return self.kafka.data if name == "kafka" else self.postgres.place.data

    def _choose(self) -> None:
        super()._choose()
        for name, size in MEGABYTES.items():
            place = self.disk(name)
            place.mkdir(parents=True, exist_ok=True)
            owner = place.stat()
            mount(place, size)
            self.mounted.append(place)
            os.chown(place, owner.st_uid, owner.st_gid)
            place.chmod(0o700)


def mount(place: Path, megabytes: int) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(place)], check=True)


def unmount(place: Path) -> None:
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(ballast: Path) -> None:
    """Take whatever room there is."""
    with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(BLOCK)):
            pass


def filled(name: str) -> Fault:
    """Full for a while, and filled again whenever something is let go of; over when the part is up."""

    async def happen(road: Road) -> None:
        assert isinstance(road.stack, SmallDisks)
        ballast = road.stack.disk(name) / BALLAST
        try:
            for _ in range(int(FULL_SECONDS)):
                await asyncio.to_thread(fill, ballast)
                await asyncio.sleep(1)  # the fault itself
        finally:
            ballast.unlink()
        await ready(road, name)

    return happen


async def fillings(run: Run) -> None:
    """PostgreSQL's disk, Kafka's disk, in turn."""
    for place in range(run.times):
        await run.happen(filled(("postgres", "kafka")[place % 2]))
    logs = run.road.stack.home.logs
    felt = {name: (logs / f"{name}.log").read_bytes().count(NO_SPACE) for name in MEGABYTES}
    assert all(felt.values()), f"a disk was never full: {felt}"
    told = ", ".join(f"{name} said so {count} times" for name, count in felt.items())
    run.notes.append(f"no space left on the device: {told}")


def demand() -> None:
    """Mounting is root's, and not everywhere allowed even to root."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            mount(Path(folder), 1)
        except (OSError, subprocess.CalledProcessError):
            raise CannotBeHad("this machine does not let us mount a small tmpfs (root, CAP_SYS_ADMIN)") from None
        unmount(Path(folder))


SCENARIOS = {"disk full": Scenario(fillings, SmallDisks, most=4, demand=demand)}
