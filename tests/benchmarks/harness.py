"""Ours beside a peer, in turn, in the same run: machines are noisy, ratios less so."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

RESULTS = Path(".benchmarks")
Measure = Callable[[], Awaitable[float]]


@dataclass
class Row:
    """One line of the table. `ours` and `peer` are medians in `unit`; `ratio` is the median of the rounds' ratios."""

    name: str
    step: str
    beside: str
    aim: str
    unit: str
    ours: float
    peer: float | None = None
    ratio: float | None = None
    reached: bool | None = None
    rounds: list[tuple[float, float | None]] = field(default_factory=list)
    note: str = ""


@dataclass(frozen=True)
class Question:
    """What a row asks: what is measured, beside what, and the aim: a least or greatest ratio, or a greatest value."""

    name: str
    step: str
    beside: str
    unit: str
    at_least: float | None = None
    at_most: float | None = None
    times_at_most: float | None = None

    @property
    def aim(self) -> str:
        if self.at_least is not None:
            return f"at least {self.at_least:g}"
        if self.times_at_most is not None:
            return f"under {self.times_at_most:g} times"
        return "-" if self.at_most is None else f"under {self.at_most:g} {self.unit}"


async def in_turn(asked: Question, ours: Measure, peer: Measure, rounds: int) -> Row:
    """Rounds of ours and the peer, who goes first changing each time."""
    taken: list[tuple[float, float | None]] = []
    for number in range(rounds):
        if number % 2:
            theirs, own = await peer(), await ours()
        else:
            own, theirs = await ours(), await peer()
        taken.append((own, theirs))
        say(f"  {asked.name} {number + 1}/{rounds}: {own:,.0f} beside {theirs:,.0f} {asked.unit}")
    return beside(asked, taken)


def beside(asked: Question, taken: Sequence[tuple[float, float | None]], note: str = "") -> Row:
    """A row from rounds of ours and the peer: the median of the rounds' ratios against its bound."""
    ratio = median(own / theirs for own, theirs in taken if theirs)
    own, theirs = (median(each or 0 for each in column) for column in zip(*taken, strict=True))
    row = Row(asked.name, asked.step, asked.beside, asked.aim, asked.unit, own, theirs, ratio)
    return replace(row, reached=_reached(asked, ratio), rounds=list(taken), note=note)


def _reached(asked: Question, ratio: float) -> bool | None:
    if asked.at_least is not None:
        return ratio >= asked.at_least
    return None if asked.times_at_most is None else ratio <= asked.times_at_most


def alone(asked: Question, values: Sequence[float], note: str = "") -> Row:
    """A figure with no peer: the median of its rounds against its bound."""
    value = median(values)
    reached = None if asked.at_most is None else value <= asked.at_most
    rounds: list[tuple[float, float | None]] = [(each, None) for each in values]
    return Row(
        asked.name, asked.step, asked.beside, asked.aim, asked.unit, value, reached=reached, rounds=rounds, note=note
    )


def machine() -> dict[str, Any]:
    """Where it was measured."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return {
        "cores": os.cpu_count(),
        "processor": model,
        "python": platform.python_version(),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
    }


def keep(rows: Sequence[Row]) -> None:
    """Beside earlier results: a row measured again replaces itself."""
    RESULTS.mkdir(exist_ok=True)
    for row in rows:
        (RESULTS / f"{row.name}.json").write_text(json.dumps(asdict(row) | machine(), indent=1))


def kept() -> dict[str, dict[str, Any]]:
    found = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))]
    return {each["name"]: each for each in found if "step" in each}


def say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
