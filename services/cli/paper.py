"""How results look: lines are never broken, so that they can be copied; tables and panels keep within the window."""

from __future__ import annotations

from typing import Any, Final

from rich.console import Console
from rich.table import Column, Table

_WHOLE: Final = frozenset({"id", "episode", "prefix", "name", "tenant", "created"})
"""Columns that are copied into the next command: never cut, never broken."""


class Paper(Console):
    """A console that knows a line from a picture."""

    def print(self, *objects: Any, soft_wrap: bool | None = None, **more: Any) -> None:  # noqa: ANN401 - as Console has it
        line = all(isinstance(each, str) for each in objects)
        super().print(*objects, soft_wrap=line if soft_wrap is None else soft_wrap, **more)


def table(*columns: str) -> Table:
    """Of a result: without a frame, ids whole however narrow the window is."""
    return Table(
        *(Column(name, no_wrap=name in _WHOLE, overflow="fold") for name in columns), box=None, header_style="bold"
    )
