"""What a scenario is, and what one run of it has seen."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from services.local.stack import LocalStack
from tests.chaos.load import Load
from tests.chaos.verdict import whole_again
from tests.whole_road import Road


class CannotBeHad(Exception):
    """This machine lacks what a scenario needs; says what."""


@dataclass
class Run:
    """One scenario: its system, its chance, and what it saw."""

    road: Road
    load: Load
    rng: random.Random
    times: int
    seconds: float
    """How long what lasts goes on."""
    again: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What else a person wants to know, below the table."""

    async def happen(self, fault: Callable[[Road], Awaitable[object]]) -> None:
        """A fault at a random moment, and how long until all is whole again."""
        await asyncio.sleep(self.rng.uniform(0.2, 2.0))  # a random moment is the point
        await fault(self.road)
        self.again.append(await whole_again(self.road))


@dataclass(frozen=True, slots=True)
class Scenario:
    """What happens, on which system."""

    play: Callable[[Run], Awaitable[None]]
    stack: type[LocalStack] = LocalStack
    most: int = 1_000
    """How often at most: some take their time."""
    demand: Callable[[], None] = lambda: None
    """Raises `CannotBeHad` where the machine cannot play it."""
