"""Where the time of a family goes: its own command once more, under py-spy, from outside and with its children."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

PY_SPY = ".venv/bench/bin/py-spy"
OURS = {
    "alerts": "services/alerts/consumer.py",
    "append": "micros",
    "door": "-m services.ingest",
    "scoring": "scoring_runs ours real",
    "peers": "scoring_runs ours trivial",
    "recovery": "recovery ours",
    "scaling": "benchmarks.scaling",
}
"""What is in a stack of ours and not of the peer's: a frame, or the command of the process."""
SHOWN = 25


def look(family: str, rounds: int) -> None:
    """Print the functions that took most of what was ours.

    Raises:
        FileNotFoundError: there is no py-spy: `make bench` installs it.
    """
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "stacks"
        recorded = (PY_SPY, "record", "--subprocesses", "--format", "raw", "--rate", "200", "-o", str(found))
        again = (sys.executable, "-m", "tests.benchmarks", "--only", family, "--rounds", str(rounds))
        subprocess.run([*recorded, "--", *again], check=True, stdout=subprocess.DEVNULL)
        stacks = [*_ours(found.read_text(encoding="utf-8").splitlines(), OURS.get(family, ""))]
    Console(width=150).print(_table(family, stacks))


def _ours(lines: Iterable[str], mark: str) -> Iterator[tuple[list[str], int]]:
    """The stacks with the mark, outermost frame first, and how often each was seen."""
    for line in lines:
        stack, _, count = line.rpartition(" ")
        if mark in stack:
            yield stack.split(";"), int(count)


def _table(family: str, stacks: list[tuple[list[str], int]]) -> Table:
    own, within = Counter[str](), Counter[str]()
    for frames, count in stacks:
        names = [_function(frame) for frame in frames]
        own[names[-1]] += count
        within.update(dict.fromkeys(names, count))
    total = sum(own.values()) or 1
    made = Table(f"{family}: function", "in itself", "with what it calls", title=f"{total:,} samples")
    for name, count in own.most_common(SHOWN):
        made.add_row(name, f"{count / total:.1%}", f"{within[name] / total:.1%}")
    return made


def _function(frame: str) -> str:
    """A frame without its line, so that a function is one.

    >>> _function("_fold (services/scoring/domain/episode.py:133)")
    '_fold (services/scoring/domain/episode.py)'
    """
    name, _, line = frame.rpartition(":")
    return f"{name})" if line.rstrip(")").isdigit() else frame
