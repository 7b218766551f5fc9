"""The facts of an episode that count, kept in the order of care as each new one comes.

What follows from them is kept up, not made anew: a fact costs its place, whatever the length of the history. Whoever
keeps a course up works on a copy of it; lists and dictionaries are copied at the speed of memory.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from operator import attrgetter, itemgetter
from typing import Final, NamedTuple, TypeVar

from services.scoring.domain.attendance import Diary, diary
from services.scoring.domain.facts import IDENTITY, RATINGS, Clock, Fact, Rating

OWNING: Final = ("episode.opened", "episode.transferred")
CLOSING: Final = ("episode.closed", "client.merged-away")
CHANGING: Final = (*OWNING, *CLOSING)
_PLACE: Final = attrgetter("place")
_AT: Final = itemgetter(0)


class Observation(NamedTuple):
    """One rating that counts, and whose alliance it rates."""

    place: tuple[int, str, str, str]
    fact: Fact
    rating: Rating
    clinician_id: str | None


Naming = tuple[int, str, str]
"""When a clinician was named, by which fact, and who."""


class Change(NamedTuple):
    """The episode opened, handed on or closed; at one time, closed last."""

    at: int
    closed: bool
    kind: str
    fact_id: str


Named = TypeVar("Named", Naming, "Change")


@dataclass(slots=True)
class Course:
    """What counts: the latest version of each record, and what is read off them."""

    counting: dict[str, Fact] = field(default_factory=dict)
    observations: list[Observation] = field(default_factory=list)
    diary: Diary = field(default_factory=Diary.empty)
    changes: list[Change] = field(default_factory=list)
    named: list[Naming] = field(default_factory=list)
    owners: list[Naming] = field(default_factory=list)
    dropped: frozenset[str] = frozenset()
    known_at: int = 0
    clock: Clock = "wall"
    merged_into: str | None = None
    """The client was merged away: nothing here counts but that; the named episode has the facts."""

    @classmethod
    def of(cls, facts: Collection[Fact]) -> Course:
        """The course of these facts, in whatever order, made at once."""
        current = _current(facts)
        away = {record: fact for record, fact in current.items() if fact.kind == "client.merged-away"}
        course = cls(counting=away or current)
        course.merged_into = max([fact.session_id for fact in away.values() if fact.session_id], default=None)
        counting = course.counting.values()
        course.diary = diary(counting)
        course.changes = sorted([_change(fact) for fact in counting if fact.kind in CHANGING])
        course.named = sorted([_naming(fact) for fact in current.values() if fact.clinician_id])
        owning = [fact for fact in current.values() if fact.kind in OWNING]
        course.owners = sorted([_naming(fact) for fact in owning if fact.clinician_id])
        course.observations = sorted([course.observed(fact) for fact in counting if fact.rating])
        course.dropped = frozenset([fact.drops for fact in current.values() if fact.drops])
        course.known_at = max([fact.recorded_at for fact in facts], default=0)
        course.clock = "feed" if "feed" in [fact.clock for fact in facts] else "wall"
        return course

    def copy(self) -> Course:
        return Course(
            self.counting.copy(),
            self.observations.copy(),
            self.diary.copy(),
            self.changes.copy(),
            self.named.copy(),
            self.owners.copy(),
            self.dropped,
            self.known_at,
            self.clock,
            self.merged_into,
        )

    def take(self, fact: Fact) -> int:
        """Take in a fact that was not held; how many observations at the beginning stand as they stood."""
        self.known_at = max(self.known_at, fact.recorded_at)
        if fact.clock == "feed":
            self.clock = "feed"
        gone = self.counting.get(fact.record_id)
        if gone is not None and gone.precedence > fact.precedence:
            return len(self.observations)
        self.counting[fact.record_id] = fact
        if fact.drops:
            self.dropped |= {fact.drops}
        self.diary.replace(gone, fact)
        return self._order(gone, fact)

    def _order(self, gone: Fact | None, come: Fact) -> int:
        unchanged = self._renamed(gone, come)
        if gone is not None and gone.kind in RATINGS and gone.rating is not None:
            unchanged = min(unchanged, self._unrate(gone))
        if come.kind in RATINGS and come.rating is not None:
            unchanged = min(unchanged, self._rate(come))
        return unchanged

    def observed(self, fact: Fact) -> Observation:
        """A rating, and whose alliance it rates."""
        assert fact.rating is not None
        return Observation(fact.place, fact, fact.rating, fact.clinician_id or self.owner_at(fact.occurred_at))

    def _rate(self, fact: Fact) -> int:
        observation = self.observed(fact)
        place = bisect_left(self.observations, observation.place, key=_PLACE)
        self.observations.insert(place, observation)
        return place

    def _unrate(self, fact: Fact) -> int:
        place = bisect_left(self.observations, fact.place, key=_PLACE)
        del self.observations[place]
        return place

    def _renamed(self, gone: Fact | None, come: Fact) -> int:
        """Whoever is named: in the lists, and as the owner of ratings that name nobody."""
        owners = self.owners.copy()
        if gone is not None:
            self._name(gone, added=False)
        self._name(come, added=True)
        return len(self.observations) if owners == self.owners else self._reassign()

    def _name(self, fact: Fact, *, added: bool) -> None:
        if fact.kind in CHANGING:
            _put(self.changes, _change(fact), added=added)
        if fact.clinician_id is not None:
            _put(self.named, _naming(fact), added=added)
            if fact.kind in OWNING:
                _put(self.owners, _naming(fact), added=added)

    def _reassign(self) -> int:
        """Whose alliance each rating rates, by today's owners; how many at the beginning are whose they were."""
        unchanged = len(self.observations)
        for place in reversed(range(len(self.observations))):
            seen = self.observations[place]
            owner = seen.fact.clinician_id or self.owner_at(seen.fact.occurred_at)
            if owner != seen.clinician_id:
                self.observations[place] = seen._replace(clinician_id=owner)
                unchanged = place
        return unchanged

    def owner_at(self, at: int) -> str | None:
        """Who had the client at a time."""
        if not self.owners:
            return None
        count = bisect_right(self.owners, at, key=_AT)
        return self.owners[count - 1][2] if count else None

    @property
    def owner(self) -> str | None:
        """Whoever the episode was opened with or handed to last; else whom the latest fact that names anybody names."""
        naming = self.owners or self.named
        return naming[-1][2] if naming else None

    @property
    def opening(self) -> tuple[int | None, int | None]:
        """When the episode was first opened, and when it was closed unless it was opened or handed on after that."""
        opened = next((change.at for change in self.changes if change.kind == "episode.opened"), None)
        closed = self.changes[-1].at if self.changes and self.changes[-1].closed else None
        return opened, closed


def decides_identity(course: Course, new: Iterable[Fact]) -> bool:
    """Whether new facts cannot be taken in one by one: all that is held counts at once, or no longer."""
    return course.merged_into is not None or any(fact.kind in IDENTITY for fact in new)


def _current(facts: Iterable[Fact]) -> dict[str, Fact]:
    """What counts now, by record: the highest version of each, retractions included."""
    latest: dict[str, Fact] = {}
    for fact in facts:
        held = latest.get(fact.record_id)
        if held is None or (fact.version, fact.fact_id) > (held.version, held.fact_id):
            latest[fact.record_id] = fact
    return latest


def _change(fact: Fact) -> Change:
    return Change(fact.occurred_at, fact.kind in CLOSING, fact.kind, fact.fact_id)


def _naming(fact: Fact) -> Naming:
    assert fact.clinician_id is not None
    return fact.occurred_at, fact.fact_id, fact.clinician_id


def _put(ordered: list[Named], entry: Named, *, added: bool) -> None:
    """Into a sorted list, or out of it."""
    if added:
        insort(ordered, entry)
    else:
        del ordered[bisect_left(ordered, entry)]
