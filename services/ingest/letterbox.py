"""Reads the topic `dead-letters` into rows, for as long as the door runs.

Killed between the write and the commit of its offsets it writes the same rows again, to no effect.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from aiokafka import AIOKafkaConsumer
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.topics import DEAD_LETTERS
from services.ingest.dead_letters import keep, letter_of
from services.ingest.metrics import IngestMetrics
from services.platform import kafka
from services.platform.db import transaction
from services.platform.forever import forever
from services.platform.settings import Settings

GROUP = "ingest-dead-letters"
RETRY_SECONDS = 2.0
LOOK_SECONDS = 15.0
KEPT = timedelta(days=DEAD_LETTERS.retention_days or 30)
_OPEN = text("""
    select code, count(*) as letters, extract(epoch from now() - min(seen_at)) as age
    from ingest.dead_letter where state = 'open' group by code order by letters desc limit 20
""")
_FORGET = text("""
    delete from ingest.dead_letter where dead_letter_id in
      (select dead_letter_id from ingest.dead_letter where seen_at < now() - cast(:kept as interval) limit 1000)
""")


class Letterbox:
    """Follows the topic until told to stop; counts what is open, and forgets what the topic has forgotten."""

    def __init__(self, settings: Settings, engine: AsyncEngine, metrics: IngestMetrics) -> None:
        self._settings = settings
        self._engine = engine
        self._metrics = metrics

    async def run(self) -> None:
        """For ever, through every absence of Kafka and PostgreSQL."""
        name = "ingest.letterbox"
        await asyncio.gather(
            forever(name, self._follow, pause=RETRY_SECONDS), forever(name, self._count, pause=LOOK_SECONDS)
        )

    async def _follow(self) -> None:
        async with kafka.following(self._settings, DEAD_LETTERS.name, group=GROUP) as consumer:
            while True:
                await self._take(consumer)

    async def _take(self, consumer: AIOKafkaConsumer) -> None:
        fetched = await consumer.getmany(timeout_ms=1_000, max_records=500)
        letters = [letter_of(record) for each in fetched.values() for record in each]
        if letters:
            tenants = {each.tenant_id for each in letters if each.tenant_id}
            async with transaction(self._engine, tenants) as connection:
                await keep(connection, letters, self._settings.kafka_topic_prefix)
            await consumer.commit()

    async def _count(self) -> None:
        async with transaction(self._engine) as connection:
            await connection.execute(_FORGET, {"kept": KEPT})
            rows = (await connection.execute(_OPEN)).all()
        self._metrics.dead_letters.clear()
        for row in rows:
            self._metrics.dead_letters.labels(row.code).set(row.letters)
        self._metrics.dead_letter_age.set(max((float(row.age) for row in rows), default=0.0))
