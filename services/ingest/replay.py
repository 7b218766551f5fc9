"""Replay: facts from the inbox through the outbox again, as they were accepted.

Client by client, each in the order of receipt: all facts of an episode come together, so scoring works each episode out
once or twice instead of once per fact, and says little that is true only for the moment. In the bulk lane, and never
more than `MOST_WAITING` rows at once, so that live facts pass. Whoever reads a fact twice knows it by its identity.
How far a replay came is kept with what it appended, in one transaction: killed, it goes on from there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Row, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas import codec
from schemas.events import Fact
from schemas.topics import RISK_ITEMS, SESSION_EVENTS
from services.ingest.facts import retracted_risk, risk_of, sealed
from services.ingest.models import OUTBOX
from services.platform.db import transaction
from services.platform.outbox import Lane, Outgoing, append

BATCH = 2_000
MOST_WAITING = 10_000
WAIT_SECONDS = 0.2
_WAITING = text(f"select count(*) from (select 1 from {OUTBOX} where lane = :lane limit :most) as waiting")  # noqa: S608 - ours
_RUNNING = text("select * from ingest.replay where scope = :scope and finished_at is null for update")
_START = text("""
    insert into ingest.replay (replay_id, scope, total) values (:id, :scope, :total)
    on conflict (scope) where finished_at is null do nothing
""")
_AGAIN = text("""
    update ingest.replay set at_tenant = null, at_client = null, at_received = null, at_event = null, done = 0,
      total = :total, started_at = now()
    where scope = :scope and finished_at is null
""")
_MOVE = text("""
    update ingest.replay set at_tenant = :tenant_id, at_client = :client_id, at_received = :received_at,
      at_event = :event_id, done = done + :count
    where scope = :scope and finished_at is null
""")
EARLIER = """
    (select e.value from ingest.inbox e
     where i.type = 'rating.retracted' and e.tenant_id = i.tenant_id and e.source = i.source
       and e.external_id = i.external_id and e.version < i.version and e.type in ('rating.submitted', 'rating.amended')
     order by e.version desc limit 1) as earlier
"""
"""What a retraction took back, beside `ingest.inbox i`: its risk answers are taken back again."""
_FINISH = text("update ingest.replay set finished_at = now() where scope = :scope and finished_at is null")
Also = Callable[[AsyncConnection], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose facts: everybody's, one tenant's, or one client's."""

    tenant: UUID | None = None
    client: UUID | None = None
    title: str = ""

    @property
    def name(self) -> str:
        """Under which a replay is found again."""
        whose = ["all" if self.tenant is None else "of", *(str(each) for each in self._parts.values())]
        return self.title or " ".join(whose)

    @property
    def _parts(self) -> dict[str, UUID]:
        named = {"tenant_id": self.tenant, "client_id": self.client}
        return {column: value for column, value in named.items() if value is not None}

    def where(self, alias: str = "i") -> str:
        """The condition on facts; its values are `values`."""
        return " and ".join(["true", *(f"{alias}.{column} = :of_{column}" for column in self._parts)])

    @property
    def values(self) -> dict[str, Any]:
        return {f"of_{column}": value for column, value in self._parts.items()}


@dataclass(frozen=True, slots=True)
class Job:
    """How far a replay is, in facts."""

    done: int
    total: int
    resumed: bool = False


async def begin(engine: AsyncEngine, scope: Scope, also: Also | None = None, *, anew: bool = False) -> Job:
    """Start a replay, or find the one of this scope that did not come to its end; `anew` starts that one over.

    `also` is done in the same transaction.
    """
    async with transaction(engine) as connection:
        if also is not None:
            await also(connection)
        total = (await connection.execute(_count(scope), scope.values)).scalar_one()
        about = {"scope": scope.name, "total": total}
        started = (await connection.execute(_START, about | {"id": uuid4()})).rowcount
        if not started and anew:
            await connection.execute(_AGAIN, about)
        job = (await connection.execute(_RUNNING, {"scope": scope.name})).one()
        return Job(job.done, max(job.total, total), resumed=not started and job.done > 0)


async def run(
    engine: AsyncEngine, scope: Scope, told: Callable[[int], None] = lambda _: None, *, batch: int = BATCH
) -> int:
    """Append everything that is left, and return how many facts the whole replay appended. `told` hears each count."""
    while True:
        await room(engine)
        done, ended = await _batch(engine, scope, batch)
        told(done)
        if ended:
            return done


async def room(engine: AsyncEngine) -> None:
    """Wait until the relay has carried enough away."""
    while await waiting(engine) > MOST_WAITING - BATCH:  # noqa: ASYNC110 - another process's doing sets no event of ours
        await asyncio.sleep(WAIT_SECONDS)


async def waiting(engine: AsyncEngine) -> int:
    """Bulk rows in the outbox, as far as a replay cares."""
    async with transaction(engine) as connection:
        found = await connection.execute(_WAITING, {"lane": int(Lane.BULK), "most": MOST_WAITING})
        return int(found.scalar_one())


async def _batch(engine: AsyncEngine, scope: Scope, batch: int) -> tuple[int, bool]:
    """One batch and the note how far it came. Two commands of one scope take turns and share the work."""
    async with transaction(engine) as connection:
        job = (await connection.execute(_RUNNING, {"scope": scope.name})).one_or_none()
        if job is None:
            return 0, True  # the other one has ended it
        rows = await _next(connection, scope, job, batch)
        await append(connection, OUTBOX, [row for each in rows for row in again(each.value, each.earlier)])
        if rows:
            last = {name: getattr(rows[-1], name) for name in ("tenant_id", "client_id", "received_at", "event_id")}
            await connection.execute(_MOVE, last | {"count": len(rows), "scope": scope.name})
        if len(rows) < batch:
            await connection.execute(_FINISH, {"scope": scope.name})
        return job.done + len(rows), len(rows) < batch


async def _next(connection: AsyncConnection, scope: Scope, job: Row[Any], batch: int) -> Sequence[Row[Any]]:
    at = {name: getattr(job, name) for name in ("at_tenant", "at_client", "at_received", "at_event")}
    begun = job.at_event is not None
    values = scope.values | {"batch": batch} | (at if begun else {})
    return (await connection.execute(_facts(scope, begun=begun), values)).all()


def _facts(scope: Scope, *, begun: bool) -> TextClause:
    place = "(i.tenant_id, i.client_id, i.received_at, i.event_id)"
    later = f" and {place} > (:at_tenant, :at_client, :at_received, :at_event)" if begun else ""
    return text(f"""
        select i.tenant_id, i.client_id, i.received_at, i.event_id, i.value, {EARLIER} from ingest.inbox i
        where {scope.where()}{later}
        order by i.tenant_id, i.client_id, i.received_at, i.event_id limit :batch
    """)  # noqa: S608 - columns are ours


def again(value: bytes, earlier: bytes | None) -> Iterator[Outgoing]:
    """A fact as it was accepted, and the risk answers in it: a lost one is told late rather than never."""
    fact: Fact = codec.decode(SESSION_EVENTS, value)
    for risk in retracted_risk(fact, earlier) if earlier else risk_of(fact):
        yield Outgoing(fact.tenant_id, fact.fact_id, Lane.RISK, RISK_ITEMS.name, sealed(risk))
    record = codec.encode_fact(fact)._replace(value=value)
    yield Outgoing(fact.tenant_id, fact.fact_id, Lane.BULK, SESSION_EVENTS.name, record)


def _count(scope: Scope) -> TextClause:
    return text(f"select count(*) from ingest.inbox i where {scope.where()}")  # noqa: S608 - columns are ours


@dataclass(frozen=True, slots=True)
class Answers:
    """What became of the facts of a scope."""

    answered: int
    dead_lettered: int
    unanswered: int


async def answers(engine: AsyncEngine, scope: Scope) -> Answers:
    """Counts of the receipts."""
    query = text(f"""
        select count(*) filter (where o.outcome in ('scored', 'no-reading')) as answered,
               count(*) filter (where o.outcome = 'dead-lettered') as dead_lettered,
               count(*) filter (where o.outcome is null) as unanswered
        from ingest.inbox i left join ingest.outcome o using (tenant_id, event_id) where {scope.where()}
    """)  # noqa: S608 - columns are ours
    async with transaction(engine) as connection:
        return Answers(*(await connection.execute(query, scope.values)).one())
