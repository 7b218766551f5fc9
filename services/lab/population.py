"""Whom the generators invent, and what they tell of one invented client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Marks = NDArray[np.bool_]

Shape = Literal["one-session", "v", "lasting", "staircase", "slide"]
"""How a rupture goes.

`one-session`: down and back at the next. `v`: down at once, back over three. `lasting`: down at once, and most of it
stays. `staircase`: down in two or three steps, and it stays. `slide`: down by so much a session for three to eight
sessions, then back at once ("decline with sudden repair": Gumz et al. 2012 found it second most often, after the V).
"""

SHAPES: Final[tuple[Shape, ...]] = ("one-session", "v", "lasting", "staircase", "slide")


@dataclass(frozen=True, slots=True)
class Variety:
    """What appendix A does not have. Points are points of the instrument's total, shares are of 1."""

    instrument: str = "srs@3"
    shapes: tuple[tuple[Shape, float], ...] = (
        ("one-session", 0.30),
        ("v", 0.20),
        ("lasting", 0.10),
        ("staircase", 0.20),
        ("slide", 0.20),
    )
    fall: float = 6.0
    """Median fall of a rupture in points, at its lowest."""
    fall_spread: float = 0.45
    """SD of its logarithm; a slide's points a session vary as much."""
    slide: float = 1.2
    """Median points a session."""
    item_noise: float = 0.45
    """SD within an item, in points of the item."""
    item_step: float | None = None
    """What answers are rounded to, where it is not the instrument's own step."""
    tails: float | None = None
    """Degrees of freedom of the sessions' noise (Student's t, scaled to the same SD); None for the normal."""
    spread: float = 0.0
    """SD of the logarithm of a client's own within-SD: how unlike clients are in how much they vary."""
    therapists: int = 40
    therapist_sd: float = 0.0
    """Between therapists, in points."""
    transferred_share: float = 0.0
    """Clients whose therapist changes half-way, to another one's level and a fresh state."""
    constant_share: float = 0.0
    """Clients who give the maximum every time, whatever happens."""
    unrated: float = 0.0
    """Sessions without a rating, whatever it would have been."""
    unrated_per_point: float = 0.0
    """Added to the logit of that for each point below the client's own level."""
    gaps: tuple[int, ...] = (7,)
    """Days between sessions, drawn evenly; the state is autocorrelated over weeks, not sessions."""
    leaving: float = -3.6
    """Logit of leaving after a session, before what makes it likelier."""


@dataclass(frozen=True, slots=True)
class Population:
    """Points of the instrument's total (the SRS's 0 to 40), hazards per session."""

    mean: float
    between_sd: float
    within_sd: float
    autocorrelation: float
    growth: float
    rupture_hazard: float
    concealed_share: float
    longest: int
    variety: Variety | None = None
    """Where it is None the courses are appendix A's, bit for bit; else they come from a stream of their own."""


TYPICAL: Final = Population(
    mean=39.0,
    between_sd=3.6,
    within_sd=2.4,
    autocorrelation=0.35,
    growth=0.30,
    rupture_hazard=0.03,
    concealed_share=0.30,
    longest=20,
)


@dataclass(frozen=True, slots=True)
class Course:
    """One client's rated sessions. `expressed`: a rupture is active and not concealed."""

    totals: tuple[float, ...]
    items: tuple[tuple[float, ...], ...]
    ruptured: tuple[bool, ...]
    expressed: tuple[bool, ...]
    onset: tuple[bool, ...]
    dropped_out: bool
    shape: tuple[Shape | None, ...] = ()
    """Of the rupture that is active, None where none is."""
    falling: tuple[bool, ...] = ()
    """The sessions of a rupture in which it is still getting worse; of most, the onset alone."""
    therapist: tuple[int, ...] = ()
    day: tuple[int, ...] = ()
    """Days since the first session. Both are empty where the generator has none."""

    @property
    def concealed(self) -> tuple[bool, ...]:
        """A rupture is active and shows a tenth of itself."""
        return tuple(active and not shown for active, shown in zip(self.ruptured, self.expressed, strict=True))


class Ruptures:
    """What the truth is, session by session, while a course is being made."""

    def __init__(self, sessions: int) -> None:
        self.effect: Floats = np.zeros(sessions)
        self.active: Marks = np.zeros(sessions, bool)
        self.expressed: Marks = np.zeros(sessions, bool)
        self.onset: Marks = np.zeros(sessions, bool)
        self.falling: Marks = np.zeros(sessions, bool)
        self.shape: list[Shape | None] = [None] * sessions

    def write(self, session: int, shape: Shape, profile: Floats, *, concealed: bool) -> int:
        """Enter one rupture, `profile` in points below the level; returns how many sessions it takes."""
        room = self.effect.size - session
        until = slice(session, session + profile.size)
        self.onset[session] = True
        self.active[until] = True
        self.expressed[until] = not concealed
        self.effect[until] = -profile[:room]
        self.falling[until] = (np.diff(profile, prepend=0.0) > 0)[:room]
        self.shape[until] = [shape] * min(room, profile.size)
        return profile.size
