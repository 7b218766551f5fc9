"""Dead letters as rows: kept as they came, looked at, sent again or dropped.

A letter sent again takes the road again with its own bytes and headers; identity decides what it changes. A dropped
fact is masked by a fact of its own (`fact.dropped`), which lies in the inbox like any other: a replay repeats it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Literal
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec
from aiokafka import ConsumerRecord
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.codec import Record, encode_fact
from schemas.events import FactDropped
from schemas.topics import SESSION_EVENTS, client_key
from services.ingest.models import OUTBOX
from services.platform.dead_letters import number
from services.platform.errors import Refused
from services.platform.outbox import Lane, Outgoing, append

State = Literal["open", "retried", "dropped"]
NOBODY = UUID(int=0)
"""Whose a record is whose key names no tenant."""
SOURCE = "attune:dead-letters"
_KEEP = text("""
    insert into ingest.dead_letter as d (dead_letter_id, tenant_id, fact_id, topic, partition, record_offset, code,
                                         reason, attempt, key, value, headers, seen_at)
    select * from unnest(
      cast(:ids as uuid[]), cast(:tenants as uuid[]), cast(:facts as uuid[]), cast(:topics as text[]),
      cast(:partitions as int[]), cast(:offsets as bigint[]), cast(:codes as text[]), cast(:reasons as text[]),
      cast(:attempts as int[]), cast(:keys as bytea[]), cast(:values as bytea[]), cast(:headers as bytea[]),
      cast(:times as timestamptz[])) as n
    on conflict (dead_letter_id) do update set state = 'open', seen_at = excluded.seen_at, decided_at = null, why = null
    where d.state = 'retried' and excluded.seen_at > d.decided_at
""")
"""Where topics were recreated, a fact may die at the place where it lay the first time: after its retry it is news."""
_SUPERSEDE = text("""
    update ingest.dead_letter d set state = 'retried', decided_at = now(), why = 'it came again'
    where d.state = 'open' and d.fact_id = any(cast(:facts as uuid[])) and exists (
      select from ingest.dead_letter n where n.tenant_id = d.tenant_id and n.fact_id = d.fact_id
        and (n.seen_at, n.dead_letter_id) > (d.seen_at, d.dead_letter_id))
""")
_STAY_DROPPED = text(f"""
    update ingest.dead_letter d set state = 'dropped', decided_at = now(), why = 'its fact was dropped before'
    from unnest(cast(:tenants as uuid[]), cast(:facts as uuid[])) as n(tenant_id, fact_id)
    where d.state = 'open' and d.tenant_id = n.tenant_id and d.fact_id = n.fact_id and exists (
      select from ingest.inbox i where i.tenant_id = n.tenant_id and i.source = '{SOURCE}'
        and i.external_id = cast(n.fact_id as text))
""")  # noqa: S608 - a constant of ours
"""A replay repeats the fact and then the drop."""
_LETTERS = text("""
    select dead_letter_id, d.tenant_id, fact_id, topic, partition, record_offset, code, reason, attempt, seen_at, state,
           decided_at, why, t.name as tenant
    from ingest.dead_letter d left join access.tenant t using (tenant_id)
    where (:state = 'all' or d.state = :state) and (cast(:code as text) is null or d.code = :code)
      and (cast(:tenant as uuid) is null or d.tenant_id = :tenant)
    order by d.seen_at, d.dead_letter_id limit :most
""")
_LETTER = text("""
    select d.*, t.name as tenant, o.outcome from ingest.dead_letter d left join access.tenant t using (tenant_id)
    left join ingest.outcome o on o.tenant_id = d.tenant_id and o.event_id = d.fact_id
    where d.dead_letter_id = :id
""")
_DECIDE = text("""
    update ingest.dead_letter set state = :state, decided_at = now(), why = :why
    where dead_letter_id = :id and state = 'open' returning *
""")
_MASK = text("""
    insert into ingest.inbox (tenant_id, event_id, source, external_id, version, body_hash, record_id, client_id,
                              episode_id, type, occurred_at, received_at, value)
    values (:tenant, :event, :source, :external, 1, :hash, :event, :client, :episode, 'fact.dropped', :at, :at, :value)
    on conflict do nothing
""")


@dataclass(frozen=True, slots=True)
class Letter:
    """What is read off a record of the topic `dead-letters`."""

    letter_id: UUID
    tenant_id: UUID | None
    fact_id: UUID | None
    headers: dict[str, str]
    record: ConsumerRecord


class _Whose(msgspec.Struct):
    """As much of a fact as dropping it takes."""

    fact_id: UUID
    tenant_id: UUID
    client_id: UUID
    episode_id: UUID
    occurred_at: datetime
    recorded_at: datetime
    clock: Literal["wall", "feed"] = "wall"


def letter_of(record: ConsumerRecord) -> Letter:
    """A dead letter, whatever state its bytes are in."""
    headers = {name: (content or b"").decode("utf-8", "replace") for name, content in record.headers}
    place = "|".join(headers.get(name, "") for name in ("dl_topic", "dl_partition", "dl_offset", "dl_attempt"))
    content = sha256(record.value or b"").hexdigest()
    return Letter(
        letter_id=uuid5(NAMESPACE_URL, f"dead-letter|{place}|{content}"),
        tenant_id=_uuid((record.key or b"").decode("utf-8", "replace").split(":")[0]),
        fact_id=_uuid(headers.get("ce_id", "")) if headers.get("dl_topic", "").endswith(SESSION_EVENTS.name) else None,
        headers=headers,
        record=record,
    )


def _uuid(text_: str) -> UUID | None:
    try:
        return UUID(text_)
    except ValueError:
        return None


async def keep(connection: AsyncConnection, letters: Sequence[Letter], prefix: str) -> None:
    """Keep letters; one kept already changes nothing. Of one fact at most one is open: the latest, until it is dropped.

    The transaction is bound to their tenants.
    """
    letters = list({each.letter_id: each for each in letters}.values())
    columns = {
        "ids": [each.letter_id for each in letters],
        "tenants": [each.tenant_id for each in letters],
        "facts": [each.fact_id for each in letters],
        "topics": [each.headers.get("dl_topic", "").removeprefix(prefix) for each in letters],
        "partitions": [number(each.headers.get("dl_partition", "").encode()) for each in letters],
        "offsets": [number(each.headers.get("dl_offset", "").encode(), digits=18) for each in letters],
        "codes": [each.headers.get("dl_code", "unknown")[:40] for each in letters],
        "reasons": [each.headers.get("dl_reason", "")[:200] for each in letters],
        "attempts": [number(each.headers.get("dl_attempt", "").encode()) for each in letters],
        "keys": [each.record.key or b"" for each in letters],
        "values": [each.record.value for each in letters],
        "headers": [msgspec.msgpack.encode(list(each.record.headers)) for each in letters],
        "times": [_at(each.record) for each in letters],
    }
    await connection.execute(_KEEP, columns)
    facts = {(each.tenant_id, each.fact_id) for each in letters if each.tenant_id and each.fact_id}
    named = {"tenants": [tenant for tenant, _ in facts], "facts": [fact for _, fact in facts]}
    if facts:
        await connection.execute(_SUPERSEDE, {"facts": named["facts"]})
        await connection.execute(_STAY_DROPPED, named)


def _at(record: ConsumerRecord) -> datetime:
    return datetime.fromtimestamp(record.timestamp / 1000, UTC)


# ------------------------------------------------------------------------------------------ what people do


async def letters(
    connection: AsyncConnection, *, state: str, code: str | None, tenant: UUID | None, most: int | None
) -> list[dict[str, Any]]:
    """Letters without their contents, oldest first."""
    values = {"state": state, "code": code, "tenant": tenant, "most": most}
    return [dict(row) for row in (await connection.execute(_LETTERS, values)).mappings()]


async def letter(connection: AsyncConnection, letter_id: UUID) -> dict[str, Any]:
    """One letter, and what became of its fact.

    Raises:
        Refused: there is none of this id.
    """
    row = (await connection.execute(_LETTER, {"id": letter_id})).mappings().one_or_none()
    if row is None:
        raise Refused(f"no dead letter {letter_id}", hint="`attune dead-letters list --state all`")
    return dict(row)


async def retry(connection: AsyncConnection, letter_id: UUID) -> None:
    """Put it on its road again, as it came.

    Raises:
        Refused: it is not open.
    """
    row = await _decide(connection, letter_id, "retried", None)
    record = Record(row["key"], row["value"] or b"", _pairs(row["headers"]))
    event = row["fact_id"] or letter_id
    outgoing = Outgoing(row["tenant_id"] or NOBODY, event, Lane.LIVE, row["topic"], record)
    await append(connection, OUTBOX, [outgoing])


async def drop(connection: AsyncConnection, letter_id: UUID, why: str | None, now: datetime) -> bool:
    """Let it be; where it holds a fact, that fact shall never count. Returns whether it did.

    Raises:
        Refused: it is not open, or its fact was scored meanwhile (then a correction is the clinic's to post).
    """
    found = await letter(connection, letter_id)
    if found["outcome"] == "scored":
        raise Refused(f"the fact of {letter_id} was scored meanwhile", hint="a correction is posted by the clinic")
    row = await _decide(connection, letter_id, "dropped", why)
    whose = _whose(row)
    if whose is None:
        return False
    await _mask(connection, whose, now)
    return True


async def _decide(connection: AsyncConnection, letter_id: UUID, state: State, why: str | None) -> dict[str, Any]:
    values = {"id": letter_id, "state": state, "why": why}
    row = (await connection.execute(_DECIDE, values)).mappings().one_or_none()
    if row is None:
        found = await letter(connection, letter_id)
        raise Refused(f"{letter_id} is {found['state']} already", hint="`attune dead-letters show` tells more")
    return dict(row)


def _pairs(headers: bytes) -> tuple[tuple[str, bytes], ...]:
    return tuple((name, content) for name, content in msgspec.msgpack.decode(headers))


def _whose(row: dict[str, Any]) -> _Whose | None:
    """The fact in a letter; `None` where nobody can tell, or where its key denies what it says."""
    if row["topic"] != SESSION_EVENTS.name:
        return None
    try:
        found = msgspec.json.decode(row["value"] or b"", type=_Whose)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return found if client_key(found.tenant_id, found.client_id) == row["key"] else None


def dropping(whose: _Whose, now: datetime) -> FactDropped:
    """The fact that another one never counts. Where the clinic's feed is the clock, it brings no time of its own."""
    own = uuid5(NAMESPACE_URL, f"{whose.tenant_id}|{SOURCE}|{whose.fact_id}")
    feed = whose.clock == "feed"
    return FactDropped(
        fact_id=own,
        record_id=own,
        tenant_id=whose.tenant_id,
        client_id=whose.client_id,
        episode_id=whose.episode_id,
        occurred_at=whose.occurred_at if feed else now,
        recorded_at=whose.recorded_at if feed else now,
        clock=whose.clock,
        historical=True,
        dropped_fact_id=whose.fact_id,
    )


async def _mask(connection: AsyncConnection, whose: _Whose, now: datetime) -> None:
    fact = dropping(whose, now)
    record = encode_fact(fact)
    values = {
        "tenant": fact.tenant_id,
        "event": fact.fact_id,
        "source": SOURCE,
        "external": str(whose.fact_id),
        "hash": sha256(record.value).digest(),
        "client": fact.client_id,
        "episode": fact.episode_id,
        "at": now,
        "value": record.value,
    }
    await connection.execute(_MASK, values)
    await append(connection, OUTBOX, [Outgoing(fact.tenant_id, fact.fact_id, Lane.LIVE, SESSION_EVENTS.name, record)])
