"""A client's last ratings as one small line: geometry only, drawn as SVG by the template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, PAD = 132.0, 36.0, 4.0
USUAL_LOW = 60.0
"""Where the 0-100 axis starts unless a client goes below: alliance ratings live in the upper half."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One session: the rating and what was expected of it, all on the 0-100 index."""

    rating: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Spark:
    """SVG geometry: `line` and `band` are point lists, `last` the end of the line."""

    line: str
    band: str
    last: tuple[float, float]
    outside: bool
    """The last rating lies below what was expected of it."""


def spark(marks: Sequence[Mark]) -> Spark | None:
    """The drawing, or `None` where nothing was rated yet.

    >>> drawn = spark([Mark(95.0), Mark(92.0, 80.0, 100.0), Mark(70.0, 82.0, 100.0)])
    >>> drawn.outside, drawn.last
    (True, (128.0, 25.0))
    """
    rated = [(place, mark.rating) for place, mark in enumerate(marks) if mark.rating is not None]
    if not rated:
        return None
    axis = _Axis(_bottom(marks), max(len(marks) - 1, 1))
    points = [axis.point(place, rating) for place, rating in rated]
    return Spark(_path(points), _path(_band(axis, marks)), points[-1], _outside(marks[rated[-1][0]]))


@dataclass(frozen=True, slots=True)
class _Axis:
    bottom: float
    steps: int

    def point(self, place: int, index: float) -> tuple[float, float]:
        across = PAD + (WIDTH - 2 * PAD) * place / self.steps
        share = (min(max(index, self.bottom), 100.0) - self.bottom) / (100.0 - self.bottom)
        return round(across, 1), round(HEIGHT - PAD - (HEIGHT - 2 * PAD) * share, 1)


def _bottom(marks: Sequence[Mark]) -> float:
    lowest = min(value for mark in marks for value in (mark.rating, mark.low, 100.0) if value is not None)
    return max(0.0, min(USUAL_LOW, lowest - 5))


def _band(axis: _Axis, marks: Sequence[Mark]) -> list[tuple[float, float]]:
    """Along the upper edge and back along the lower one."""
    expected = [(place, mark.low, mark.high) for place, mark in enumerate(marks)]
    upper = [axis.point(place, high) for place, _, high in expected if high is not None]
    lower = [axis.point(place, low) for place, low, _ in reversed(expected) if low is not None]
    return upper + lower


def _outside(mark: Mark) -> bool:
    return mark.rating is not None and mark.low is not None and mark.rating < mark.low


def _path(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in points)
