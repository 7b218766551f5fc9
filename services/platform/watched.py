"""A Kafka consumer that says when it can fetch no more.

aiokafka fetches in a task of its own that nobody looks at: once that has ended by a fault, `getmany` finds nothing, for
ever, while heartbeats go on and the group waits for it. Under uvloop one reset is enough: a request written to a
connection whose end was not noticed yet raises RuntimeError, where aiokafka expects OSError.
"""

from __future__ import annotations

import asyncio
import contextlib

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaConnectionError

from services.platform.forever import told_to_end


class WatchedConsumer(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka has no types
    """Once its fetching has ended, every look for records raises: whoever follows a topic starts a new one."""

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[ConsumerRecord]]:
        """See aiokafka.

        Raises:
            KafkaConnectionError: it fetches no more.
        """
        if self._fetcher is not None and self._fetcher._fetch_task.done():  # noqa: SLF001 - told nowhere else
            raise KafkaConnectionError("the consumer fetches no more: its task has ended")
        found: dict[TopicPartition, list[ConsumerRecord]] = await super().getmany(
            *partitions, timeout_ms=timeout_ms, max_records=max_records
        )
        return found

    async def stop(self) -> None:
        """See aiokafka, which takes the end of a task of its own that had not begun yet for a wish that we end."""
        try:
            await super().stop()
        except asyncio.CancelledError:
            if told_to_end():
                raise
            if self._fetcher is not None:
                with contextlib.suppress(asyncio.CancelledError):
                    await self._fetcher.close()
            await self._client.close()
