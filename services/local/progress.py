"""How long steps tell a person how far they are."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)


class Steps(Protocol):
    """Told of a step's begin, of bytes within it, and of its end."""

    def begin(self, step: str, total_bytes: int | None = None) -> None: ...

    def advance(self, step: str, count: int) -> None: ...

    def done(self, step: str) -> None: ...


class Silent:
    """For tests and scripts."""

    def begin(self, step: str, total_bytes: int | None = None) -> None: ...

    def advance(self, step: str, count: int) -> None: ...

    def done(self, step: str) -> None: ...


class Bars:
    """A bar for each step, on a terminal; a line for each step elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeElapsedColumn(),
        )
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def begin(self, step: str, total_bytes: int | None = None) -> None:
        if not self._console.is_terminal:
            self._console.print(f"{step} ...")
        self._tasks[step] = self._progress.add_task(step, total=total_bytes)

    def advance(self, step: str, count: int) -> None:
        self._progress.advance(self._tasks[step], count)

    def done(self, step: str) -> None:
        task = self._tasks[step]
        finished = self._progress.tasks[task].completed or 1
        self._progress.update(task, total=finished, completed=finished)
