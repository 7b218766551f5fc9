"""Who a client is after merges, and by which names a post reaches what was copied. Pure.

References of episodes and appointments become tokens of the client they were posted with. After a merge one person has
several: a post is tried under the reference it came with, then the survivor's own, then those merged into it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Row

from schemas.codec import decode
from schemas.events import Fact, RatingFact, RatingRetracted, RiskAnswered
from schemas.merged import fact_by, record_in
from schemas.topics import SESSION_EVENTS
from services.ingest.draft import Draft
from services.ingest.episodes import MAX_FACTS, Course, Courses, Token
from services.ingest.facts import retracted_risk, risk_of

SOURCE = "attune.merge/"
_ID = Mapping[UUID, UUID]
_encode = msgspec.json.Encoder().encode


class Copy(NamedTuple):
    """One copied fact: the record as it is posted, as it is named here, its kind and its appointment."""

    posted: UUID
    record: UUID
    kind: str
    session: UUID | None


@dataclass(frozen=True, slots=True)
class Absorbed:
    """What one client took over: whose references lead here, and the records and appointments that came with them."""

    losers: tuple[UUID, ...] = ()
    records: _ID = field(default_factory=dict)
    sessions: Mapping[UUID, UUID] = field(default_factory=dict)
    """The appointment of each copied record, by the record's name here."""
    booked: frozenset[UUID] = frozenset()
    """Appointments of which only the booking is known: what comes of them is still to be posted."""

    @classmethod
    def of(cls, losers: Iterable[UUID], copies: Collection[Copy]) -> Absorbed:
        kinds: dict[UUID, set[str]] = {}
        for copy in copies:
            if copy.session is not None:
                kinds.setdefault(copy.session, set()).add(copy.kind)
        return cls(
            tuple(losers),
            {copy.posted: copy.record for copy in copies},
            {copy.record: copy.session for copy in copies if copy.session is not None},
            frozenset(session for session, seen in kinds.items() if seen == {"session.booked"}),
        )


_NOTHING = Absorbed()


@dataclass(frozen=True, slots=True)
class Names:
    """By which names posts reach the clients of one tenant. `absorbed` has those that others were merged into."""

    token: Token
    absorbed: Mapping[UUID, Absorbed] = field(default_factory=dict)

    def leads(self, posted: UUID, client: UUID) -> bool:
        """Whether a post of this client is the other's now."""
        return posted == client or posted in self.absorbed.get(client, _NOTHING).losers

    def reference(self, name: str | None, posted: UUID, client: UUID, courses: Courses) -> UUID | None:
        """The token of a named episode: of the first who has one so called, else the client's own."""
        if name is None:
            return None
        own = self.token("episode", str(client), name)
        if client not in self.absorbed:
            return own
        known = {course.reference for course in courses.by_client.get(client, ())}
        tokens = (self.token("episode", str(who), name) for who in self._who(posted, client))
        return next((token for token in tokens if token in known), own)

    def drafted(self, draft: Draft, client: UUID) -> Draft:
        """The draft with its record's name here: a correction of a copied record reaches the copy."""
        absorbed = self.absorbed.get(client)
        record = absorbed.records.get(draft.record_id) if absorbed else None
        return draft if record is None else replace(draft, record_id=record)

    def session(self, draft: Draft, name: str, posted: UUID, client: UUID) -> UUID:
        """The token of an appointment; of another's only where that is surely meant.

        Posted under the other's reference, of a record that is the other's, or booked there and not yet come to pass:
        clinics that number each client's sessions from 1 would otherwise have two of one name become one.
        """
        absorbed = self.absorbed.get(client)
        if absorbed is None:
            return self.token("session", str(client), name)
        if posted != client:
            theirs = self.token("session", str(posted), name)
            if theirs in absorbed.sessions.values():
                return theirs
        meant = absorbed.booked | {absorbed.sessions.get(draft.record_id)}
        tokens = (self.token("session", str(who), name) for who in absorbed.losers)
        return next((token for token in tokens if token in meant), self.token("session", str(client), name))

    def _who(self, posted: UUID, client: UUID) -> tuple[UUID, ...]:
        return (posted, client, *self.absorbed[client].losers)


# ------------------------------------------------------------------------------------------------- the copies


class Held(NamedTuple):
    """A fact in the inbox, as far as a copy needs it. `posted`: the record as the clinic's posts name it."""

    event_id: UUID
    posted: UUID
    version: int
    record_id: UUID
    episode_id: UUID
    type: str
    occurred_at: Any
    value: bytes


def homes(merge: UUID, survivor: UUID, theirs: Iterable[Course], own: Collection[Course]) -> dict[UUID, Course]:
    """Where each of the loser's episodes goes: an episode of its own, but two that were never named are one course."""
    nameless = next((course for course in own if course.implicit and course.reference is None), None)
    implicit = any(course.implicit for course in own)
    found: dict[UUID, Course] = {}
    for course in theirs:
        if nameless and _nameless(course) and course.facts + nameless.facts <= MAX_FACTS:
            found[course.episode_id] = _together(nameless, course)
        else:
            found[course.episode_id] = replace(
                course,
                episode_id=fact_by(merge, course.episode_id),
                client_id=survivor,
                implicit=course.implicit and not implicit,
            )
    return found


def _nameless(course: Course) -> bool:
    return course.implicit and course.reference is None


def _together(own: Course, other: Course) -> Course:
    opened = [at for at in (own.opened_at, other.opened_at) if at is not None]
    closed = [at for at in (own.closed_at, other.closed_at) if at is not None]
    first, last = min(opened, default=None), max(closed, default=None)
    return replace(own, opened_at=first, closed_at=last)


def copied(merge: UUID, fact: Held, home: Course) -> tuple[Held, bytes]:
    """The copy of a fact under the survivor, and its value to publish. What happened, and when, stays as it was."""
    value = msgspec.json.decode(fact.value)
    copy = fact._replace(
        event_id=fact_by(merge, fact.event_id),
        record_id=record_in(home.episode_id, fact.record_id),
        episode_id=home.episode_id,
    )
    value |= {"fact_id": copy.event_id, "record_id": copy.record_id}
    value |= {"client_id": home.client_id, "episode_id": home.episode_id}
    if value.get("dropped_fact_id"):
        value["dropped_fact_id"] = fact_by(merge, UUID(value["dropped_fact_id"]))
    return copy, _encode(value)


def source_of(merge: UUID) -> str:
    """The source under which the copies of a merge stand in the inbox; their ids are those of the records copied."""
    return f"{SOURCE}{merge}"


def held(row: Row[Any]) -> Held:
    """A fact to copy. The copy of a copy is found by the record that the clinic posted, too."""
    posted = UUID(row.external_id) if row.source.startswith(SOURCE) and row.type != "fact.dropped" else row.record_id
    return Held(row.event_id, posted, row.version, row.record_id, row.episode_id, row.type, row.occurred_at, row.value)


def risks(copies: Iterable[tuple[int, UUID, bytes]]) -> Iterator[RiskAnswered]:
    """The risk answers in copies of forms (version, record, value), and what takes back those of retracted ones."""
    forms: dict[UUID, bytes] = {}
    for _, record, value in sorted(copies):
        fact = decode(SESSION_EVENTS, value)
        if isinstance(fact, RatingRetracted) and record in forms:
            yield from retracted_risk(fact, forms[record])
        elif isinstance(fact, RatingFact):
            forms[record] = value
            yield from risk_of(fact)


def unrisk(copy: bytes) -> Iterator[RiskAnswered]:
    """The risk answers of a masked copy are taken back, as those of a retracted form."""
    fact = decode(SESSION_EVENTS, copy)
    if risk_of(fact):
        shared = {name: getattr(fact, name) for name in Fact.model_fields} | {"version": fact.version + 1}
        yield from retracted_risk(RatingRetracted(**shared), copy)
