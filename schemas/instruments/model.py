"""What the registry says of an instrument. Every number sits beside a `Source`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

Evidence = Literal["verified", "recalled", "computed", "simulated", "assumed"]
"""`verified`: read in the source. `recalled`: from memory, check before quoting it. `computed`: by a formula from
numbers named. `simulated`: by our generator, which is no clinical evidence. `assumed`: our choice, waiting for data."""

Family = Literal["alliance", "outcome"]
Direction = Literal["up", "down"]
TotalRule = Literal["sum", "mean"]
Rater = Literal["client", "therapist"]
Comparator = Literal["lt", "le", "ge", "gt"]
LicenceStatus = Literal["free", "free-unaltered", "permission", "restricted"]

LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
LOCAL = "urn:attune:codesystem:instrument"
"""For what has no code elsewhere: no LOINC was found for SRS, ORS, WAI, SAI and ARM."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a number is from, and how far to trust it."""

    text: str
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Scale:
    """The values that may occur: `low`, `low + step`, ... `high`."""

    low: float
    high: float
    step: float
    source: Source

    @property
    def span(self) -> float:
        return self.high - self.low


@dataclass(frozen=True, slots=True)
class Code:
    """A name of the instrument, its total or an item in somebody's code system."""

    system: str
    code: str
    of: Literal["panel", "total", "item", "instrument"]
    source: Source


@dataclass(frozen=True, slots=True)
class Risk:
    """An answer of `threshold` or more goes to a person at once; of `urgent` or more, urgently."""

    threshold: float
    urgent: float
    source: Source


@dataclass(frozen=True, slots=True)
class Item:
    """One question, by code: wording is never shipped."""

    code: str
    scale: Scale
    facet: str | None = None
    reversed: bool = False
    risk: Risk | None = None
    codes: tuple[Code, ...] = ()


@dataclass(frozen=True, slots=True)
class MissingRule:
    """When there is a total although an answer is missing: missing answers then count as the mean of those given.

    `min_answered` of all items and `min_per_facet` of each facet's must be there, and every one of `indispensable`.
    """

    min_answered: int
    source: Source
    min_per_facet: int | None = None
    indispensable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cutoff:
    """A conventional line on the total: it is crossed when `total <comparator> value`."""

    value: float
    comparator: Comparator
    meaning: str
    source: Source


@dataclass(frozen=True, slots=True)
class Figure:
    """A published property: a reliability, a standard deviation, a reliable change in points of the total."""

    name: str
    value: float
    source: Source


@dataclass(frozen=True, slots=True)
class Prior:
    """Before a client's first rating: where clients lie (`mu0`, `sb`), how much one client varies (`sw`), in points."""

    mu0: float
    sb: float
    sw: float
    source: Source


@dataclass(frozen=True, slots=True)
class Licence:
    status: LicenceStatus
    terms: str
    source: Source


@dataclass(frozen=True, slots=True)
class Instrument:
    """One measure in one version and response format. `score_only`: its items may not be displayed by us."""

    key: str
    name: str
    family: Family
    raters: tuple[Rater, ...]
    items: tuple[Item, ...]
    direction: Direction
    rule: TotalRule
    total: Scale
    missing: MissingRule
    prior: Prior
    licence: Licence
    cutoffs: tuple[Cutoff, ...] = ()
    item_cutoff: Cutoff | None = None
    figures: tuple[Figure, ...] = ()
    codes: tuple[Code, ...] = ()
    score_only: bool = False
    notes: tuple[str, ...] = ()

    by_code: Mapping[str, Item] = field(init=False, repr=False, compare=False)
    by_facet: Mapping[str, tuple[Item, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the items once: they are looked up for every rating."""
        facets = dict.fromkeys(item.facet for item in self.items if item.facet)
        members = {facet: tuple(item for item in self.items if item.facet == facet) for facet in facets}
        object.__setattr__(self, "by_code", {item.code: item for item in self.items})
        object.__setattr__(self, "by_facet", members)

    @property
    def facets(self) -> tuple[str, ...]:
        """The facets in the order of their first items."""
        return tuple(self.by_facet)

    def item(self, code: str) -> Item | None:
        return self.by_code.get(code)

    def risk_items(self) -> Iterator[tuple[Item, Risk]]:
        return ((item, item.risk) for item in self.items if item.risk)


def questions(scale: Scale, count: int, *, reversed_items: tuple[int, ...] = ()) -> tuple[Item, ...]:
    """Items `q1` to `q<count>` on one scale, without facets."""
    return tuple(Item(f"q{number}", scale, reversed=number in reversed_items) for number in range(1, count + 1))
