"""The only place that looks at a clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Whatever can say what time it is, in UTC."""

    def now(self) -> datetime: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass(slots=True)
class HeldClock:
    """A clock that stands where it is put: for a feed that brings its own time, and for tests."""

    at: datetime

    def now(self) -> datetime:
        return self.at
