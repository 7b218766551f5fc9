"""The table of what waits to be published, and how a transaction adds to it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from enum import IntEnum
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import BigInteger, Computed, Identity, LargeBinary, SmallInteger, String
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from schemas.codec import Headers, Record
from services.platform.outbox import statements as sql

BUCKETS = 16
"""Into how many parts the keys fall; most replicas that can work at once. A change is a migration."""


MANY_KEYS = 8 * BUCKETS
"""So many keys lie in nearly every bucket: that is not worked out."""


class Lane(IntEnum):
    """Which queue a row waits in; a lower one is emptied first."""

    RISK = 0
    LIVE = 1
    BULK = 2


class OutboxColumns:
    """The columns of an outbox table; a service gives it its own name and schema.

    `bucket` is PostgreSQL's to compute: whoever appends, in whatever version, need not know of it.
    """

    number: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    tenant_id: Mapped[UUID]
    event_id: Mapped[UUID]
    lane: Mapped[int] = mapped_column(SmallInteger)
    topic: Mapped[str] = mapped_column(String(100))
    key: Mapped[bytes] = mapped_column(LargeBinary)
    value: Mapped[bytes] = mapped_column(LargeBinary)
    headers: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    bucket: Mapped[int] = mapped_column(
        SmallInteger, Computed(f"(get_byte(sha256(key), 0) % {BUCKETS})::smallint", persisted=True)
    )


class Outgoing(NamedTuple):
    """A record to publish: `topic` without the installation's prefix."""

    tenant_id: UUID
    event_id: UUID
    lane: Lane
    topic: str
    record: Record


class Row(NamedTuple):
    """A row as the relay reads it. They sort in the order of publication: by lane, then by number."""

    lane: int
    number: int
    tenant_id: UUID
    bucket: int
    topic: str
    key: bytes
    value: bytes
    headers: bytes
    created_at: datetime


async def append(connection: AsyncConnection, table: str, rows: Sequence[Outgoing]) -> None:
    """Put rows into an outbox, in the caller's transaction, and wake its relays at commit."""
    if not rows:
        return
    await connection.execute(sql.append(table), columns(table, rows))


def columns(table: str, rows: Sequence[Outgoing], prefix: str = "") -> dict[str, Any]:
    """The parameters of `sql.appended`."""
    keys = [row.record.key for row in rows]
    made = {
        "tenants": [row.tenant_id for row in rows],
        "events": [row.event_id for row in rows],
        "lanes": [int(row.lane) for row in rows],
        "topics": [row.topic for row in rows],
        "keys": keys,
        "values": [row.record.value for row in rows],
        "headers": [packed(row.record.headers) for row in rows],
    }
    return {prefix + name: each for name, each in (made | waking(table, keys)).items()}


packed: Callable[[Headers], bytes] = msgspec.msgpack.Encoder().encode
"""Headers as they are kept in a row."""


def waking(table: str, keys: Iterable[bytes]) -> dict[str, str]:
    """The notification that tells a table's relays of rows with these keys, as parameters of the appending statement.

    >>> waking("ingest.outbox", [b"tenant:client", b"tenant:client"])
    {'channel': 'ingest_outbox', 'buckets': '9'}
    """
    named = set(keys)
    buckets = sorted({bucket(key) for key in named}) if len(named) < MANY_KEYS else range(BUCKETS)
    return {"channel": sql.channel(table), "buckets": " ".join(map(str, buckets))}


def bucket(key: bytes) -> int:
    """The bucket of a key, as PostgreSQL computes it.

    >>> bucket(b"tenant:client")
    9
    """
    return hashlib.sha256(key).digest()[0] % BUCKETS
