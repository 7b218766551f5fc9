"""What ingest does beside publishing: notes when each fact was acknowledged, and counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.topics import SESSION_EVENTS
from services.ingest.metrics import RelayMetrics
from services.platform.clock import Clock
from services.platform.outbox import Row

_NOTE = text("""
    insert into ingest.publication (tenant_id, event_id, published_at)
    select n.*, clock_timestamp() from unnest(cast(:tenants as uuid[]), cast(:events as uuid[])) as n
    on conflict (tenant_id, event_id) do update set published_at = excluded.published_at
""")
"""What is published again is looked at again by the reconciler."""


class PublicationNotes:
    """The relay's observer."""

    def __init__(self, metrics: RelayMetrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock

    async def published(self, connection: AsyncConnection, rows: Sequence[Row]) -> None:
        facts = sorted({(row.tenant_id, row.event_id) for row in rows if row.topic == SESSION_EVENTS.name})
        if facts:
            tenants, events = zip(*facts, strict=True)
            await connection.execute(_NOTE, {"tenants": list(tenants), "events": list(events)})
        for topic, count in Counter(row.topic for row in rows).items():
            self._metrics.published.labels(topic).inc(count)
        oldest = min(row.created_at for row in rows)
        self._metrics.delay_seconds.observe((self._clock.now() - oldest).total_seconds())

    def failed(self, reason: str) -> None:  # noqa: ARG002 - the relay logs it
        self._metrics.failures.inc()
