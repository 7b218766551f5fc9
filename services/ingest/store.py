"""Commits drafts: one transaction, a few multi-row statements, whatever their number.

When the process dies before the commit, nothing happened and nobody was told otherwise. After it, everything is there:
the same post finds itself by its key and gets the same receipt.

Nearly all that comes is new. So it is written as if it were, and only where that turns out wrong is everything rolled
back, looked up and written again; and looked up at once, for a clinic that was just seen to repeat itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import TextClause, event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.events import RatingRetracted
from schemas.topics import RISK_ITEMS
from services.ingest import merging
from services.ingest import statements as sql
from services.ingest.columns import of_courses, of_taken, taken
from services.ingest.draft import Draft
from services.ingest.episodes import Course, Courses, EpisodeFull
from services.ingest.facts import Surrogates, Written, retracted_risk, risks, sealed, write
from services.ingest.merged import Names
from services.ingest.models import OUTBOX
from services.ingest.remembered import Care, Name, Remembered
from services.ingest.verdicts import Accepted
from services.platform.db import transaction
from services.platform.outbox import Lane, Outgoing, append, waking
from services.platform.vault import Kind, Vault


class Store:
    """The inbox and the outbox, and who is who."""

    def __init__(self, engine: AsyncEngine, vault: Vault) -> None:
        self._engine = engine
        self._vault = vault
        self._remembered = Remembered()
        self._repeating: set[UUID] = set()
        event.listen(engine.sync_engine, "connect", lambda *_: self._remembered.forget())

    async def accept(self, drafts: Sequence[Draft]) -> list[Accepted]:
        """Commit what is new; one verdict for each draft, in their order. A merge is a transaction of its own."""
        if not any(draft.event.type in merging.TYPES for draft in drafts):
            return await self._facts(drafts)
        verdicts: list[Accepted] = []
        for merges, part in groupby(drafts, key=lambda draft: draft.event.type in merging.TYPES):
            if merges:
                verdicts += [await merging.accept(self._engine, self._vault, draft) for draft in part]
            else:
                verdicts += await self._facts(list(part))
        return verdicts

    async def _facts(self, drafts: Sequence[Draft]) -> list[Accepted]:
        by_tenant: defaultdict[UUID, list[tuple[int, Draft]]] = defaultdict(list)
        for place, draft in enumerate(drafts):
            by_tenant[draft.receiving.tenant_id].append((place, draft))
        while True:
            try:
                verdicts = await self._accept(by_tenant)
            except _Repeated as error:
                self._repeating.add(error.tenant)  # whoever was first has committed: it is seen now
            except _Moved as error:
                self._remembered.move(error.tenant, error.to)
            else:
                return [verdicts[place] for place in range(len(drafts))]

    async def _accept(self, by_tenant: Mapping[UUID, Sequence[tuple[int, Draft]]]) -> dict[int, Accepted]:
        """In one transaction: each draft's verdict by its place."""
        verdicts: dict[int, Accepted] = {}
        works: list[_TenantWork] = []
        async with transaction(self._engine, by_tenant) as connection:
            for tenant in sorted(by_tenant):
                places, theirs = zip(*by_tenant[tenant], strict=True)
                works.append(_TenantWork(connection, tenant, self._vault, self._remembered))
                found = await works[-1].accept(theirs, look=tenant in self._repeating)
                verdicts |= zip(places, found, strict=True)
        for work in works:
            self._remembered.keep(work.names, work.cares)
            (self._repeating.add if work.known else self._repeating.discard)(work.tenant)
        return verdicts


class _Repeated(Exception):
    """What was taken for new is known: nothing that was worked out on that may be committed."""

    def __init__(self, tenant: UUID) -> None:
        super().__init__()
        self.tenant = tenant


class _Moved(Exception):
    """Clients were taken for themselves that are others by now, or the other way round (`to` is `None`)."""

    def __init__(self, tenant: UUID, to: Mapping[UUID, UUID] | None) -> None:
        super().__init__()
        self.tenant = tenant
        self.to = to


class _Named(NamedTuple):
    """A draft and whose it is: by the reference it was posted with, and by now; and its episode's token, if named."""

    draft: Draft
    posted: UUID
    client: UUID
    reference: UUID | None


def _verdict(draft: Draft, known: dict[UUID, tuple[bytes, datetime]], *, created: bool) -> Accepted:
    if draft.fact_id not in known:
        return Accepted("episode-full", draft.fact_id, None)
    body_hash, received_at = known[draft.fact_id]
    if body_hash != draft.body_hash:
        return Accepted("conflict", draft.fact_id, None)
    return Accepted("created" if created else "known", draft.fact_id, received_at)


@dataclass(slots=True)
class _TenantWork:
    """One tenant's share of a transaction."""

    connection: AsyncConnection
    tenant: UUID
    vault: Vault
    remembered: Remembered
    known: dict[UUID, tuple[bytes, datetime]] = field(default_factory=dict)
    names: dict[Name, UUID] = field(default_factory=dict)
    cares: set[Care] = field(default_factory=set)
    """Which surrogates and episodes it saw: to be remembered, once it is committed."""

    async def accept(self, drafts: Sequence[Draft], *, look: bool) -> list[Accepted]:
        """The verdicts. `look`: ask first what is known; without, all is taken for new.

        Raises:
            _Repeated: some of it was not, or another door has just stored it.
        """
        first: dict[UUID, Draft] = {}
        for draft in drafts:
            first.setdefault(draft.fact_id, draft)
        self.known = await self._known(first) if look else {}
        fresh = [draft for fact_id, draft in first.items() if fact_id not in self.known]
        created = await self._commit(fresh) if fresh else set[UUID]()
        known = self.known | {d.fact_id: (d.body_hash, d.receiving.now) for d in fresh if d.fact_id in created}
        # Who finds no room may have had some before.
        known |= await self._known(draft.fact_id for draft in fresh if draft.fact_id not in created)
        new = {id(draft) for draft in fresh if draft.fact_id in created}
        return [_verdict(draft, known, created=id(draft) in new) for draft in drafts]

    async def _known(self, fact_ids: Iterable[UUID]) -> dict[UUID, tuple[bytes, datetime]]:
        ids = list(fact_ids)
        if not ids:
            return {}
        rows = await self.connection.execute(sql.KNOWN, {"tenant": self.tenant, "ids": ids})
        return {row.event_id: (row.body_hash, row.received_at) for row in rows}

    async def _commit(self, drafts: Sequence[Draft]) -> set[UUID]:
        """Surrogates, episodes, inbox, outbox. Returns the ids that were new; who found no room is not among them."""
        clients = await self._surrogates("client", {d.event.client for d in drafts})
        told = {d.event.clinician for d in drafts if d.event.clinician is not None}
        clinicians = await self._surrogates("clinician", told)
        named = [self._named(draft, clients[draft.event.client]) for draft in drafts]
        courses, names = await self._courses(named)
        placed = self._place(_renamed(named, names, courses), clinicians, courses, names)
        facts = sorted((write(draft, who) for draft, who in placed), key=lambda each: each.fact_id)
        if facts:
            await self._insert(facts, courses.touched())
            beside = [risk for fact in facts for risk in risks(fact)]
            await append(self.connection, OUTBOX, beside + await self._taken_back(facts))
        return {fact.fact_id for fact in facts}

    async def _surrogates(self, kind: Kind, references: set[str]) -> dict[str, UUID]:
        known = self.remembered.surrogates(self.tenant, kind, references)
        asked = references - known.keys()
        found = known | (await self.vault.surrogates(self.connection, self.tenant, kind, asked) if asked else {})
        self.names |= {(self.tenant, kind, reference): found[reference] for reference in asked}
        return found

    def _token(self, *parts: str) -> UUID:
        return self.vault.token(self.tenant, *parts)

    def _named(self, draft: Draft, posted: UUID) -> _Named:
        client, named = self.remembered.now(self.tenant, posted), draft.event.episode
        return _Named(draft, posted, client, None if named is None else self._token("episode", str(client), named))

    async def _courses(self, named: Sequence[_Named]) -> tuple[Courses, Names]:
        """The clients' episodes, held until the commit; where one has to be made, under a lock.

        So two do not make two, and none writes over what another has just opened or closed. The lock for new ones
        comes before the rows, and rows in one order, for everybody: nobody waits in a circle. A merge takes both, so
        that it is seen here whole or not at all.

        Raises:
            _Moved: a client is another one by now.
        """
        courses = Courses(self._token)
        ids = sorted({each.client for each in named})
        self.cares = {(self.tenant, each.client, each.reference) for each in named}
        if not all(map(self.remembered.stands, self.cares)):
            courses.load(await self._load(sql.EPISODES, ids))
            wanted = _renamed(named, await self._names(courses, named), courses)
            if any(courses.needs_new(each.client, each.reference) for each in wanted):
                await self.connection.execute(sql.LOCK_EPISODES, {"tenant": str(self.tenant)})
        courses.load(await self._load(sql.EPISODES_HELD, ids))
        return courses, await self._names(courses, named)

    async def _names(self, courses: Courses, named: Sequence[_Named]) -> Names:
        """By which names the clients of these episodes are reached.

        Raises:
            _Moved: one of them is not who she was taken for.
        """
        if moved := courses.moved:
            raise _Moved(self.tenant, moved)
        absorbing = courses.absorbing
        absorbed = await merging.absorbed(self.connection, self.tenant, absorbing) if absorbing else {}
        names = Names(self._token, absorbed)
        if not all(each.posted == each.client or names.leads(each.posted, each.client) for each in named):
            raise _Moved(self.tenant, None)
        return names

    async def _load(self, query: TextClause, clients: list[UUID]) -> list[Course]:
        rows = await self.connection.execute(query, {"tenant": self.tenant, "clients": clients})
        return [Course(*row) for row in rows]

    def _place(
        self, named: Sequence[_Named], clinicians: Mapping[str, UUID], courses: Courses, names: Names
    ) -> list[tuple[Draft, Surrogates]]:
        placed = []
        for draft, posted, client, reference in sorted(named, key=_order):
            event = draft.event
            try:
                episode = courses.place(client, reference, event.type, event.occurred_at)
            except EpisodeFull:
                continue
            clinician = clinicians.get(event.clinician or "")
            session = self._session(names, draft, posted, client)
            placed.append((draft, Surrogates(client, clinician, episode, session)))
        return placed

    def _session(self, names: Names, draft: Draft, posted: UUID, client: UUID) -> UUID | None:
        """The appointment, by the clinic's reference; a rating without one belongs to its day."""
        event: Any = draft.event
        if event.session is not None:
            return names.session(draft, event.session, posted, client)
        if event.type.startswith("rating.") and event.type != "rating.retracted":
            return self._token("session-day", str(client), event.occurred_at.date().isoformat())
        return None

    async def _insert(self, facts: Sequence[Written], courses: Sequence[Course]) -> None:
        """Ordered by their ids, as everybody does: nobody waits in a circle."""
        columns = of_taken(taken(facts))
        about = {"tenant": self.tenant, **waking(OUTBOX, columns["keys"]), **of_courses(courses)}
        created = (await self.connection.execute(sql.COMMIT, columns | about)).scalar_one()
        if created != len(facts):
            raise _Repeated(self.tenant)

    async def _taken_back(self, new: Sequence[Written]) -> list[Outgoing]:
        """A retracted form's risk answers are taken back on their own road, whichever of the two came first."""
        about = sorted({(fact.draft.event.source, fact.draft.event.id) for fact in new if fact.takes_back})
        if not about:
            return []
        sources, externals = zip(*about, strict=True)
        values = {"tenant": self.tenant, "sources": list(sources), "externals": list(externals)}
        rows = (await self.connection.execute(sql.TAKEN_BACK, values)).all()
        return [
            Outgoing(self.tenant, risk.fact_id, Lane.RISK, RISK_ITEMS.name, sealed(risk))
            for row in rows
            for risk in retracted_risk(RatingRetracted.model_validate_json(row.retraction), row.earlier)
        ]


def _order(named: _Named) -> tuple[datetime, UUID]:
    return named.draft.event.occurred_at, named.draft.fact_id


def _renamed(named: Sequence[_Named], names: Names, courses: Courses) -> Sequence[_Named]:
    """By the names under which what was copied is found; nearly nobody was ever merged."""
    if not names.absorbed:
        return named
    return [
        each._replace(
            draft=names.drafted(each.draft, each.client),
            reference=names.reference(each.draft.event.episode, each.posted, each.client, courses),
        )
        for each in named
    ]
