"""Two references of a clinic are one person: the facts of one are published again under the other's name.

One transaction: copies of all facts under the survivor, a fact for each of the loser's episodes that it is merged away,
and where posts go from now on. It takes the lock under which episodes are made, then the episodes of both, as every
post does that could be in its way; so a post at any door comes before the merge, and is copied, or sees it whole.
Taken back, the copies are masked and the loser's episodes stand again; what was posted since stays with the survivor.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.codec import decode, encode_fact, written_fact
from schemas.events import ClientMergedAway, ClientUnmerged, Fact, FactDropped, RiskAnswered
from schemas.merged import fact_by
from schemas.topics import RISK_ITEMS, SESSION_EVENTS, client_key
from services.ingest import of_merges
from services.ingest import statements as sql
from services.ingest.columns import Taken, of_courses, of_taken
from services.ingest.draft import Draft
from services.ingest.episodes import MAX_FACTS, Course
from services.ingest.facts import sealed
from services.ingest.merged import Absorbed, Copy, Held, copied, held, homes, risks, source_of, unrisk
from services.ingest.models import OUTBOX
from services.ingest.verdicts import Accepted
from services.platform.db import transaction
from services.platform.outbox import Lane, Outgoing, append, waking
from services.platform.problems import Fault
from services.platform.vault import Vault

TYPES = frozenset({"client.merged", "client.unmerged"})
MOST = MAX_FACTS
"""Facts that one merge copies: what one transaction can hold while others wait."""
_NOBODY = UUID(int=0)
"""Whose the episodes of copies are, once they are masked: no post ever reaches them."""


class Refused(Exception):
    """The event does not fit what is known."""

    def __init__(self, pointer: str, detail: str, expected: str) -> None:
        super().__init__(detail)
        self.fault = Fault(pointer=pointer, detail=detail, expected=expected)


async def accept(engine: AsyncEngine, vault: Vault, draft: Draft) -> Accepted:
    """Merge, or take a merge back: all of it is committed, or nothing."""
    tenant = draft.receiving.tenant_id
    async with transaction(engine, [tenant]) as connection:
        await connection.execute(sql.LOCK_EPISODES, {"tenant": str(tenant)})
        known = (await connection.execute(sql.KNOWN, {"tenant": tenant, "ids": [draft.fact_id]})).one_or_none()
        if known is not None:
            return _known(draft, known)
        work = _Work(connection, vault, draft)
        try:
            await (work.merge() if draft.event.type == "client.merged" else work.unmerge())
        except Refused as error:
            return Accepted("refused", draft.fact_id, None, error.fault)
    return Accepted("created", draft.fact_id, draft.receiving.now)


def _known(draft: Draft, row: Row[Any]) -> Accepted:
    if row.body_hash != draft.body_hash:
        return Accepted("conflict", draft.fact_id, None)
    return Accepted("known", draft.fact_id, row.received_at)


async def absorbed(connection: AsyncConnection, tenant: UUID, clients: Sequence[UUID]) -> dict[UUID, Absorbed]:
    """What these clients took over from others by merges that stand."""
    merges = (await connection.execute(of_merges.ABSORBED, {"tenant": tenant, "clients": list(clients)})).all()
    sources = [source_of(row.merge_id) for row in merges]
    about = {"tenant": tenant, "clients": list(clients), "sources": sources}
    copies: defaultdict[UUID, list[Copy]] = defaultdict(list)
    for row in await connection.execute(of_merges.CAME, about):
        copies[row.client_id].append(Copy(row.posted, row.record_id, row.type, row.session))
    losers: defaultdict[UUID, list[UUID]] = defaultdict(list)
    for row in merges:
        losers[row.survivor_id] += row.losers
    return {client: Absorbed.of(theirs, copies[client]) for client, theirs in losers.items()}


@dataclass(slots=True)
class _Work:
    """One merge, or the end of one, in its transaction."""

    connection: AsyncConnection
    vault: Vault
    draft: Draft
    event: Any = field(init=False)
    tenant: UUID = field(init=False)

    def __post_init__(self) -> None:
        self.event = self.draft.event
        self.tenant = self.draft.receiving.tenant_id

    # ---------------------------------------------------------------------------------------------- together

    async def merge(self) -> None:
        """All of the loser's goes to the survivor.

        Raises:
            Refused: nobody knows one of them, they are one already, or there is more than may be copied.
        """
        named = {"/client": self.event.client, "/merged": self.event.merged}
        posted = {pointer: await self._client(pointer, reference) for pointer, reference in named.items()}
        now = {pointer: await self._now(client) for pointer, client in posted.items()}
        loser, survivor = now["/merged"], now["/client"]
        if loser == survivor:
            raise Refused("/merged", "already the same client", "another person's reference")
        if loser != posted["/merged"]:
            raise Refused("/merged", "merged into another client already", "first take that merge back")
        courses = await self._courses(loser, survivor)
        if missing := {pointer for pointer, client in now.items() if not courses[client]}:
            raise _unknown(*missing)
        await self._join(loser, survivor, courses)

    async def _join(self, loser: UUID, survivor: UUID, courses: Mapping[UUID, list[Course]]) -> None:
        merge, theirs = self.draft.fact_id, courses[loser]
        to = homes(merge, survivor, theirs, courses[survivor])
        taken = [self._copy(fact, to[fact.episode_id]) for fact in await self._facts(loser)]
        away = [self._away(course, to[course.episode_id], survivor) for course in theirs]
        count = Counter(row.episode_id for row in taken)
        touched = [replace(home, added=count[home.episode_id]) for home in to.values()]
        await self._commit([*taken, *self._rows(away)], [*touched, *(replace(course, added=1) for course in theirs)])
        forms = [(row.version, row.record_id, row.record.value) for row in taken if row.type.startswith("rating.")]
        await append(self.connection, OUTBOX, [self._sent(risk) for risk in risks(forms)])
        about = {"tenant": self.tenant, "loser": loser, "survivor": survivor}
        await self.connection.execute(of_merges.LEAD, about)
        told = {"merge": merge, "record": self.draft.record_id, "at": self.draft.receiving.now}
        await self.connection.execute(of_merges.MERGE, about | told | {"losers": [loser, *await self._losers(loser)]})

    async def _client(self, pointer: str, reference: str) -> UUID:
        found = await self.vault.find(self.connection, self.tenant, "client", reference)
        if found is None:
            raise _unknown(pointer)
        return found

    async def _now(self, client: UUID) -> UUID:
        while (row := (await self.connection.execute(of_merges.WENT, self._about(client))).one_or_none()) is not None:
            client = row.survivor_id
        return client

    async def _losers(self, client: UUID) -> list[UUID]:
        rows = await self.connection.execute(of_merges.LOSERS, self._about(client))
        return [each for row in rows for each in row.losers]

    def _about(self, client: UUID) -> dict[str, Any]:
        return {"tenant": self.tenant, "client": client}

    async def _courses(self, *clients: UUID) -> dict[UUID, list[Course]]:
        """All of them at once, in the order in which everybody holds them."""
        rows = await self.connection.execute(sql.EPISODES_HELD, {"tenant": self.tenant, "clients": list(clients)})
        courses = [Course(*row) for row in rows]
        return {client: [course for course in courses if course.client_id == client] for client in clients}

    async def _facts(self, client: UUID) -> list[Held]:
        rows = (await self.connection.execute(of_merges.FACTS, self._about(client) | {"most": MOST + 1})).all()
        if len(rows) > MOST:
            raise Refused("/merged", "too many events to copy at once", f"a client with at most {MOST:,} events")
        return [held(row) for row in rows]

    def _copy(self, fact: Held, home: Course) -> Taken:
        merge = self.draft.fact_id
        copy, value = copied(merge, fact, home)
        key = client_key(self.tenant, home.client_id)
        record = written_fact(key, value, kind=copy.type, fact_id=copy.event_id, time=copy.occurred_at)
        return Taken(
            event_id=copy.event_id,
            source=source_of(merge),
            external_id=str(copy.posted),
            version=copy.version,
            body_hash=sha256(value).digest(),
            record_id=copy.record_id,
            client_id=home.client_id,
            episode_id=copy.episode_id,
            type=copy.type,
            occurred_at=copy.occurred_at,
            received_at=self.draft.receiving.now,
            record=record,
        )

    def _away(self, course: Course, home: Course, survivor: UUID) -> Fact:
        into = {"survivor_id": survivor, "survivor_episode_id": home.episode_id}
        return ClientMergedAway(**(self._shared(course) | into))

    # -------------------------------------------------------------------------------------------------- apart

    async def unmerge(self) -> None:
        """The copies are masked, the loser stands again.

        Raises:
            Refused: no such merge stands, or the survivor was merged further since.
        """
        stands = (await self.connection.execute(of_merges.STANDS, self._record())).one_or_none()
        if stands is None:
            raise Refused("/id", "no merge of this id stands", "the id of the client.merged to take back")
        if await self.vault.find(self.connection, self.tenant, "client", self.event.merged) != stands.loser_id:
            raise Refused("/merged", "another client was merged", "as in the client.merged to take back")
        if await self._now(stands.survivor_id) != stands.survivor_id:
            raise Refused("/client", "merged into another client since", "first take that merge back")
        theirs = (await self._courses(stands.loser_id, stands.survivor_id))[stands.loser_id]
        source = {"source": source_of(stands.merge_id), "survivor": stands.survivor_id}
        copies = (await self.connection.execute(of_merges.COPIES, {"tenant": self.tenant, **source})).all()
        again = self._rows([ClientUnmerged(**self._shared(course)) for course in theirs])
        masks = [self._row(self._mask(row)) for row in copies]
        await self._commit([*again, *masks], [replace(course, added=1) for course in theirs])
        await append(self.connection, OUTBOX, [self._sent(each) for row in copies for each in unrisk(row.value)])
        await self._part(stands, theirs)

    def _record(self) -> dict[str, Any]:
        return {"tenant": self.tenant, "record": self.draft.record_id}

    async def _part(self, stands: Row[Any], theirs: Sequence[Course]) -> None:
        about = {"tenant": self.tenant, "loser": stands.loser_id, "survivor": stands.survivor_id}
        await self.connection.execute(of_merges.APART, about)
        made = [fact_by(stands.merge_id, course.episode_id) for course in theirs]
        await self.connection.execute(of_merges.NOBODYS, about | {"nobody": _NOBODY, "episodes": made})
        await self.connection.execute(
            of_merges.UNDO, {"tenant": self.tenant, "merge": stands.merge_id, "at": self.draft.receiving.now}
        )

    def _mask(self, copy: Row[Any]) -> Fact:
        fact = decode(SESSION_EVENTS, copy.value)
        whose = {"client_id": fact.client_id, "episode_id": fact.episode_id}
        own = fact_by(self.draft.fact_id, copy.event_id)
        return FactDropped(
            **self._common(), **whose, fact_id=own, record_id=own, version=1, dropped_fact_id=copy.event_id
        )

    # ---------------------------------------------------------------------------------------------------- both

    def _common(self) -> dict[str, Any]:
        now = self.draft.receiving
        shared = {"occurred_at": self.event.occurred_at, "recorded_at": now.now, "historical": self.draft.historical}
        return shared | {"tenant_id": self.tenant, "clock": now.clock}

    def _shared(self, course: Course) -> dict[str, Any]:
        """Of a fact about one of the loser's episodes. `_rows` gives the first of them the event's own id."""
        about = {"client_id": course.client_id, "episode_id": course.episode_id}
        record = {"record_id": self.draft.record_id, "version": self.event.version}
        return self._common() | about | record | {"fact_id": fact_by(self.draft.fact_id, course.episode_id)}

    def _rows(self, facts: Sequence[Fact]) -> list[Taken]:
        """Facts that are the event's own: its receipt is that of the first."""
        first = self._row(facts[0].model_copy(update={"fact_id": self.draft.fact_id}))
        posted = {"source": self.event.source, "external_id": self.event.id, "version": self.event.version}
        return [first._replace(**posted, body_hash=self.draft.body_hash), *map(self._row, facts[1:])]

    def _row(self, fact: Any) -> Taken:  # noqa: ANN401 - a concrete fact
        record = encode_fact(fact)
        return Taken(
            event_id=fact.fact_id,
            source=source_of(self.draft.fact_id),
            external_id=f"{fact.type} {fact.fact_id}",
            version=1,
            body_hash=sha256(record.value).digest(),
            record_id=fact.record_id,
            client_id=fact.client_id,
            episode_id=fact.episode_id,
            type=fact.type,
            occurred_at=fact.occurred_at,
            received_at=self.draft.receiving.now,
            record=record,
        )

    async def _commit(self, rows: Sequence[Taken], courses: Sequence[Course]) -> None:
        """Into inbox and outbox, ordered by their ids as everybody's are."""
        ordered = sorted(rows, key=lambda row: row.event_id)
        columns = of_taken(ordered)
        about = {"tenant": self.tenant, **waking(OUTBOX, columns["keys"]), **of_courses(courses)}
        await self.connection.execute(sql.COMMIT, columns | about)

    def _sent(self, risk: RiskAnswered) -> Outgoing:
        return Outgoing(self.tenant, risk.fact_id, Lane.RISK, RISK_ITEMS.name, sealed(risk))


def _unknown(*pointers: str) -> Refused:
    return Refused(max(pointers), "nobody of this reference is known", "a client of whom something was posted before")
