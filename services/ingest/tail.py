"""The receipts' tail: reads what scoring answered, and what was set aside, and writes it beside the inbox.

Idempotent, so at-least-once is enough: killed between the write and the commit of its offsets, it writes the same
again. While Kafka is away the door goes on; receipts then say `outcome` later.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.errors import KafkaError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.topics import ALLIANCE_SCORES, DEAD_LETTERS
from services.ingest.metrics import IngestMetrics
from services.platform import kafka, logs
from services.platform.db import transaction
from services.platform.settings import Settings

GROUP = "ingest-receipts"
RETRY_SECONDS = 2.0
STOP_SECONDS = 0.5
METADATA_MS = 5_000
"""How soon topics are found that were not there yet."""
_RANK = {"no-reading": 0, "dead-lettered": 1, "scored": 2}
_WRITE = text("""
    insert into ingest.outcome as o (tenant_id, event_id, outcome, at)
    select * from unnest(cast(:tenants as uuid[]), cast(:events as uuid[]), cast(:outcomes as text[]),
                         cast(:times as timestamptz[])) as n
    on conflict (tenant_id, event_id) do update set outcome = excluded.outcome, at = excluded.at
    where array_position(array['no-reading', 'dead-lettered', 'scored'], excluded.outcome)
        > array_position(array['no-reading', 'dead-lettered', 'scored'], o.outcome)
""")


class _Answer(msgspec.Struct):
    """As much of a conclusion as a receipt needs."""

    type: str
    tenant_id: UUID
    causes: tuple[UUID, ...]


_DECODER = msgspec.json.Decoder(_Answer)
Outcomes = dict[tuple[UUID, UUID], tuple[str, datetime]]


def outcomes(records: Sequence[ConsumerRecord], dead_letters: str) -> Outcomes:
    """The best outcome of each fact that these records speak of."""
    best: Outcomes = {}
    for record in records:
        at = datetime.fromtimestamp(record.timestamp / 1000, UTC)
        for key, outcome in _of(record, dead_letters):
            if key not in best or _RANK[outcome] > _RANK[best[key][0]]:
                best[key] = (outcome, at)
    return best


def _of(record: ConsumerRecord, dead_letters: str) -> Iterator[tuple[tuple[UUID, UUID], str]]:
    try:
        if record.topic == dead_letters:
            yield _dead(record), "dead-lettered"
            return
        answer = _DECODER.decode(record.value)
    except (msgspec.DecodeError, ValueError, KeyError, TypeError):
        return  # not ours to judge: whoever wrote it has said so elsewhere
    outcome = "scored" if answer.type == "reading" else "no-reading"
    for cause in answer.causes:
        yield (answer.tenant_id, cause), outcome


def _dead(record: ConsumerRecord) -> tuple[UUID, UUID]:
    headers = dict(record.headers)
    return UUID(record.key.decode().split(":")[0]), UUID(headers["ce_id"].decode())


async def write(engine: AsyncEngine, found: Mapping[tuple[UUID, UUID], tuple[str, datetime]]) -> None:
    rows = sorted(found.items())
    if not rows:
        return
    columns: dict[str, list[Any]] = {
        "tenants": [tenant for (tenant, _), _ in rows],
        "events": [event for (_, event), _ in rows],
        "outcomes": [outcome for _, (outcome, _) in rows],
        "times": [at for _, (_, at) in rows],
    }
    async with transaction(engine, set(columns["tenants"])) as connection:
        await connection.execute(_WRITE, columns)


class Tail:
    """Follows the output topics until told to stop."""

    def __init__(self, settings: Settings, engine: AsyncEngine, metrics: IngestMetrics) -> None:
        self._settings = settings
        self._engine = engine
        self._metrics = metrics
        self._dead_letters = settings.topic(DEAD_LETTERS.name)

    async def run(self) -> None:
        """For ever, through every absence of Kafka and PostgreSQL."""
        while True:
            try:
                await self._follow()
            except Exception as error:  # noqa: BLE001 - receipts may be late, but never for ever
                self._metrics.tail_running.set(0)
                logs.get("ingest.tail").warning("tail stopped, starting again", exc_info=error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _follow(self) -> None:
        """Joins the group only after its start: a start cut short would leave a connection open."""
        consumer = kafka.consumer(self._settings, group=GROUP, metadata_max_age_ms=METADATA_MS)
        starting = asyncio.ensure_future(consumer.start())
        try:
            await asyncio.shield(starting)
            consumer.subscribe([self._settings.topic(topic.name) for topic in (ALLIANCE_SCORES, DEAD_LETTERS)])
            self._metrics.tail_running.set(1)
            while True:
                await self._take(consumer)
        finally:
            await asyncio.wait([starting], timeout=STOP_SECONDS)
            with contextlib.suppress(KafkaError):
                await consumer.stop()

    async def _take(self, consumer: AIOKafkaConsumer) -> None:
        fetched = await consumer.getmany(timeout_ms=500, max_records=5_000)
        records = [record for each in fetched.values() for record in each]
        if not records:
            return
        found = outcomes(records, self._dead_letters)
        await write(self._engine, found)
        await consumer.commit()
        for outcome, _ in found.values():
            self._metrics.outcomes.labels(outcome).inc()
