"""What the alerts consumer is measured beside: records read, and rows inserted, with nothing decided.

It keeps what cannot be left out: batches of the same size, the latest of each episode and reading by the same
statements, the alerts, steps and outbox rows that a run of ours had decided (its share of them with each batch), the
offsets, one transaction a batch, bound to its tenants under the same role.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from aiokafka import ConsumerRecord, TopicPartition
from sqlalchemy import text
from sqlalchemy.dialects.postgresql.asyncpg import dialect

from schemas.topics import ALLIANCE_SCORES
from services.alerts.adapters import statements as sql
from services.alerts.settings import AlertsSettings
from services.platform import kafka
from services.platform.db import tenants_setting

DECIDED = {
    "alert": "tenant_id, alert_id, client_id, episode_id, owner_id, kind, severity, state, rule, policy, reason,"
    " rating_id, occurred_at, opened_at, historical, evidence, version",
    "step": "tenant_id, step_id, alert_id, action, actor, reason, at",
    "outbox": "tenant_id, event_id, lane, topic, key, value, headers, created_at",
}
OFFSETS = """
    insert into alerts.consumer_offset as o (topic, partition, next_offset, last_offset, digest)
    select $1, n.partition, n.next, n.next - 1, '' from unnest($2::int[], $3::bigint[]) as n(partition, next)
    on conflict (topic, partition) do update set next_offset = excluded.next_offset, last_offset = excluded.last_offset
"""


class _Revision(msgspec.Struct):
    engine: int
    facts: int


class _Attendance(msgspec.Struct):
    last_attended_at: datetime | None = None


class _Said(msgspec.Struct):
    """As much of a record as its row's columns need."""

    type: str
    tenant_id: UUID
    client_id: UUID
    episode_id: UUID
    revision: _Revision
    rating_id: UUID | None = None
    owner_id: UUID | None = None
    status: str = ""
    occurred_at: datetime | None = None
    opened_at: datetime | None = None
    silent_amber_at: datetime | None = None
    attendance: _Attendance | None = None


@dataclass(frozen=True)
class Reference:
    """The rows that a run of ours had decided, in their order."""

    rows: dict[str, list[asyncpg.Record]]
    total: int

    @classmethod
    async def of(cls, url: str, total: int) -> Reference:
        connection = await _connect(url)
        order = {"alert": "opened_at", "step": "number", "outbox": "number"}
        rows = {
            table: await connection.fetch(f"select * from alerts.{table} order by {by}") for table, by in order.items()
        }
        await connection.close()
        return cls(rows, total)

    def share(self, table: str, start: int, end: int) -> list[asyncpg.Record]:
        """Of these records."""
        rows = self.rows[table]
        return rows[len(rows) * start // self.total : len(rows) * end // self.total]


async def _connect(url: str) -> asyncpg.Connection:
    return await asyncpg.connect(url.replace("+asyncpg", ""))


def _positional(statement: str) -> tuple[str, list[str]]:
    """One of ours as the driver takes it, and its parameters in their order."""
    compiled = text(statement).compile(dialect=dialect())  # type: ignore[no-untyped-call]  # SQLAlchemy does not say
    return str(compiled), list(compiled.positiontup or ())


EPISODES, READINGS = _positional(sql.KEEP_EPISODES), _positional(sql.KEEP_READINGS)


async def bare(settings: AlertsSettings, saw: Callable[[int], float | None], url: str, reference: Reference) -> float:
    topic = settings.topic(ALLIANCE_SCORES.name)
    places = [TopicPartition(topic, number) for number in range(settings.kafka_partitions)]
    consumer, connection, decode = kafka.consumer(settings), await _connect(url), msgspec.json.Decoder(_Said).decode
    await consumer.start()
    consumer.assign(places)
    await consumer.seek_to_beginning(*places)
    taken, found = 0, None
    while found is None:
        fetched = await consumer.getmany(timeout_ms=200, max_records=settings.alerts_batch_records)
        records = [record for each in fetched.values() for record in each]
        said = [(decode(record.value), record.value.decode()) for record in records]
        shares = {table: reference.share(table, taken, taken + len(records)) for table in DECIDED}
        async with connection.transaction():
            tenants = {each.tenant_id for each, _ in said}
            tenants |= {row["tenant_id"] for rows in shares.values() for row in rows}
            await connection.execute("select set_config('app.tenants', $1, true)", tenants_setting(tenants))
            await _write(connection, said)
            for table, columns in DECIDED.items():
                await _insert(connection, table, columns, shares[table])
            await _advance(connection, topic, [each[-1] for each in fetched.values()])
        taken += len(records)
        found = saw(taken)
    await connection.close()
    await consumer.stop()
    return found


async def _write(connection: asyncpg.Connection, said: Iterable[tuple[_Said, str]]) -> None:
    episodes, readings = dict[UUID, tuple[_Said, str]](), dict[UUID, tuple[_Said, str]]()
    for each, value in said:
        if each.rating_id is None:
            episodes[each.episode_id] = (each, value)
        else:
            readings[each.rating_id] = (each, value)
    for (statement, names), columns in (
        (EPISODES, _episode_columns([*episodes.values()])),
        (READINGS, _reading_columns([*readings.values()])),
    ):
        await connection.execute(statement, *(columns[name] for name in names))


def _episode_columns(rows: Sequence[tuple[_Said, str]]) -> dict[str, list[Any]]:
    return _common(rows) | {
        "clients": [each.client_id for each, _ in rows],
        "owners": [each.owner_id for each, _ in rows],
        "statuses": [each.status for each, _ in rows],
        "opened": [each.opened_at for each, _ in rows],
        "attended": [each.attendance and each.attendance.last_attended_at for each, _ in rows],
        "due": [each.silent_amber_at for each, _ in rows],
        "snapshots": [value for _, value in rows],
    }


def _reading_columns(rows: Sequence[tuple[_Said, str]]) -> dict[str, list[Any]]:
    return _common(rows) | {
        "ratings": [each.rating_id for each, _ in rows],
        "times": [each.occurred_at for each, _ in rows],
        "readings": [value if each.type == "reading" else None for each, value in rows],
    }


def _common(rows: Sequence[tuple[_Said, str]]) -> dict[str, list[Any]]:
    return {
        "tenants": [each.tenant_id for each, _ in rows],
        "episodes": [each.episode_id for each, _ in rows],
        "engines": [each.revision.engine for each, _ in rows],
        "facts": [each.revision.facts for each, _ in rows],
    }


async def _insert(connection: asyncpg.Connection, table: str, columns: str, rows: Sequence[asyncpg.Record]) -> None:
    if rows:
        query = f"insert into alerts.{table} ({columns}) select {columns} from unnest($1::alerts.{table}[])"
        await connection.execute(query, [tuple(row) for row in rows])


async def _advance(connection: asyncpg.Connection, topic: str, last: Sequence[ConsumerRecord]) -> None:
    places, offsets = [each.partition for each in last], [each.offset + 1 for each in last]
    await connection.execute(OFFSETS, topic, places, offsets)
