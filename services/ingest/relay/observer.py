"""What ingest does beside publishing: notes when each fact was acknowledged, and counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from schemas.topics import SESSION_EVENTS
from services.ingest.metrics import RelayMetrics
from services.platform.clock import Clock
from services.platform.outbox import Row

_NOTE = f"""
    insert into ingest.publication (tenant_id, event_id, published_at)
    select distinct tenant_id, event_id, clock_timestamp() from gone where topic = '{SESSION_EVENTS.name}' order by 1, 2
    on conflict (tenant_id, event_id) do update set published_at = excluded.published_at
"""  # noqa: S608 - a constant of ours
"""What is published again is looked at again by the reconciler."""


class PublicationNotes:
    """The relay's observer."""

    also = _NOTE

    def __init__(self, metrics: RelayMetrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock

    def published(self, rows: Sequence[Row]) -> None:
        self._metrics.rounds.inc()
        for topic, count in Counter(row.topic for row in rows).items():
            self._metrics.published.labels(topic).inc(count)
        oldest = min(row.created_at for row in rows)
        self._metrics.delay_seconds.observe((self._clock.now() - oldest).total_seconds())

    def failed(self, reason: str) -> None:  # noqa: ARG002 - the relay logs it
        self._metrics.failures.inc()
