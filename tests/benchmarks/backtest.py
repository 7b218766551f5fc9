"""A backtest of a file of any size: events a second on one core, what a second core brings, and the memory it takes.

Beside it: the same file's lines only decoded and judged by the contract, as the door judges a post.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import msgspec

from services.ingest.envelopes import plain
from services.ingest.handlers import check
from tests.benchmarks.harness import Question, Row, beside, in_turn

SMALL, LARGE = 3_350, 33_500
"""Clients: about a hundred thousand events, and a million."""
SPEED = Question(
    "backtest",
    "backtest of a year's file, one core (at least 8,000)",
    "its lines decoded and judged by the contract",
    "events/CPU s",
)
CORES = Question("backtest-cores", "the same file on two cores", "one core", "events/s", at_least=1.6)
MEMORY = Question("backtest-memory", "peak memory, a million events", "100,000 events", "MB", times_at_most=1.5)
ENDLESS = datetime(9000, 1, 1, tzinfo=UTC)


class Lived(NamedTuple):
    """What one backtest took. The CPU is the process's own: of one that works alone."""

    per_second: float
    per_cpu_second: float
    peak_mb: float


async def rows(rounds: int) -> list[Row]:
    """Files of an invented clinic's year, gone afterwards; each backtest is a process of its own, started and all."""
    with TemporaryDirectory(prefix="attune-bench-") as folder:
        small, large = (_file(Path(folder), clients) for clients in (SMALL, LARGE))

        async def cpu() -> float:
            return _lived(small, cores=1).per_cpu_second

        async def decoded() -> float:
            return _judged(small)

        async def one() -> float:
            return _lived(small, cores=1).per_second

        async def two() -> float:
            return _lived(small, cores=2).per_second

        speed = await in_turn(SPEED, cpu, decoded, rounds)
        cores = await in_turn(CORES, two, one, rounds)
        million, other = _lived(large, cores=1), _lived(small, cores=1)
        speed.note = f"of a million events {million.per_cpu_second:,.0f}"
        return [speed, cores, beside(MEMORY, [(million.peak_mb, other.peak_mb)])]


def _file(folder: Path, clients: int) -> Path:
    path = folder / f"{clients}.ndjson"
    made = [sys.executable, "-m", "services.lab", "caseload", "--events", str(path), "--clients", str(clients)]
    subprocess.run(made, check=True, capture_output=True)
    return path


def _lived(events: Path, cores: int) -> Lived:
    asked = [sys.executable, "-m", "services", "backtest", "--events", str(events), "--cores", str(cores)]
    began = time.perf_counter()
    process = subprocess.Popen([*asked, "--json"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    taken = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    lines = _lines(events)
    return Lived(lines / taken, lines / (used.ru_utime + used.ru_stime), used.ru_maxrss / 1_000)


def _judged(events: Path) -> float:
    began, judged = time.process_time(), 0
    with events.open("rb") as lines:
        for line in lines:
            judged += not isinstance(check(plain(msgspec.json.decode(line)), ENDLESS), tuple)
    assert judged == _lines(events)
    return judged / (time.process_time() - began)


def _lines(events: Path) -> int:
    with events.open("rb") as lines:
        return sum(1 for _ in lines)
