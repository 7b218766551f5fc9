"""Progress, for people: a bar with a rate on a terminal, nothing elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class Rate(ProgressColumn):
    """So many a second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f} {self._unit}/s" if speed else "", style="cyan")


class Advance:
    """Where a running task is."""

    def __init__(self, progress: Progress, what: str, total: int) -> None:
        self._progress = progress
        self._task = progress.add_task(what, total=total)

    def by(self, count: int) -> None:
        self._progress.advance(self._task, count)

    def to(self, count: int) -> None:
        self._progress.update(self._task, completed=count)


@contextmanager
def bar(console: Console, what: str, total: int, *, unit: str = "events") -> Iterator[Advance]:
    """A bar for as long as the block lasts; of bytes, which nobody counts, the share that is done."""
    count = TaskProgressColumn() if unit == "bytes" else MofNCompleteColumn()
    times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    columns = (TextColumn("{task.description}"), BarColumn(), count, Rate(unit), *times)
    if not console.is_terminal:
        console.print(f"{what}: {total:,} {unit} ...")
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield Advance(progress, what, total)
