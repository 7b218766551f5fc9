"""Which episode a fact belongs to: the one it names, else the one that was open then, else an implicit one.

Pure. A client whose care begins without a named episode has an implicit one; the first named episode adopts it, so
that for a client with one course of care the order of arrival does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

MAX_FACTS = 5_000
_SAME_DAY = timedelta(days=1)


@dataclass(slots=True)
class Course:
    """An episode as ingest knows it. `added` counts the facts of this transaction.

    `merged_into`: the client who is this one now. `absorbs`: others were merged into this client.
    """

    episode_id: UUID
    client_id: UUID
    reference: UUID | None
    implicit: bool
    opened_at: datetime | None = None
    closed_at: datetime | None = None
    facts: int = 0
    merged_into: UUID | None = None
    absorbs: bool = False
    added: int = 0

    def covers(self, at: datetime) -> bool:
        opened = self.opened_at is None or self.opened_at - _SAME_DAY <= at
        return opened and (self.closed_at is None or at <= self.closed_at + _SAME_DAY)

    def note(self, kind: str, at: datetime) -> None:
        """What this fact says of the episode's own beginning and end."""
        if kind == "episode.opened":
            reopened = self.closed_at is not None and at > self.closed_at
            self.opened_at = min(self.opened_at or at, at)
            self.closed_at = None if reopened else self.closed_at
        elif kind == "episode.closed":
            self.closed_at = max(self.closed_at or at, at)


class EpisodeFull(Exception):
    """The episode holds as many facts as one may."""


Token = Callable[..., UUID]
"""A keyed surrogate of some parts."""


@dataclass(slots=True)
class Courses:
    """The episodes of the clients of one tenant in one transaction."""

    token: Token
    by_client: dict[UUID, list[Course]] = field(default_factory=dict)

    def load(self, courses: Iterable[Course]) -> None:
        self.by_client = {}
        for course in courses:
            self.by_client.setdefault(course.client_id, []).append(course)

    @property
    def moved(self) -> dict[UUID, UUID]:
        """The clients among them that are others by now."""
        every = (course for courses in self.by_client.values() for course in courses)
        return {course.client_id: course.merged_into for course in every if course.merged_into is not None}

    @property
    def absorbing(self) -> list[UUID]:
        """The clients that others were merged into."""
        return [client for client, courses in self.by_client.items() if any(course.absorbs for course in courses)]

    def needs_new(self, client: UUID, reference: UUID | None) -> bool:
        """Whether placing a fact would make or adopt an episode."""
        return self._standing(client, reference, None) is None

    def place(self, client: UUID, reference: UUID | None, kind: str, at: datetime) -> UUID:
        """The episode of a fact; the fact is counted there.

        Raises:
            EpisodeFull: one more would be too many.
        """
        known = self._standing(client, reference, at) or self._nameless(client, reference)
        course = known or self._new(client, reference)
        if course.facts + course.added >= MAX_FACTS:
            raise EpisodeFull
        if known is None:
            self.by_client.setdefault(client, []).append(course)
        course.reference = course.reference or reference
        course.added += 1
        course.note(kind, at)
        return course.episode_id

    def touched(self) -> list[Course]:
        """What has to be written, in one order for everybody."""
        every = (course for courses in self.by_client.values() for course in courses)
        return sorted((course for course in every if course.added), key=lambda course: course.episode_id)

    def _standing(self, client: UUID, reference: UUID | None, at: datetime | None) -> Course | None:
        courses = self.by_client.get(client, [])
        if reference is not None:
            return next((course for course in courses if course.reference == reference), None)
        if len(courses) == 1:
            return courses[0]
        covering = [course for course in courses if at is None or course.covers(at)]
        still_open = [course for course in courses if course.closed_at is None]
        return max(covering or still_open or courses, key=_recency, default=None)

    def _nameless(self, client: UUID, reference: UUID | None) -> Course | None:
        """The implicit episode, which the first named one adopts."""
        courses = self.by_client.get(client, []) if reference else []
        return next((course for course in courses if course.implicit and course.reference is None), None)

    def _new(self, client: UUID, reference: UUID | None) -> Course:
        named = ("implicit",) if reference is None else ("named", str(reference))
        episode = self.token("episode-id", str(client), *named)
        return Course(episode, client, reference, implicit=reference is None)


def _recency(course: Course) -> tuple[bool, float, str]:
    opened = course.opened_at
    return (opened is not None, opened.timestamp() if opened else 0.0, str(course.episode_id))
