"""Rows to Kafka: by partition, in whole batches, in order."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import murmur2

from services.platform.outbox.rows import Row

_HEADERS = msgspec.msgpack.Decoder(list[tuple[str, bytes]])


async def publish(producer: AIOKafkaProducer, prefix: str, rows: Sequence[Row]) -> None:
    """Return when Kafka has acknowledged all of them, or raise what it said."""
    counts = {topic: len(await producer.partitions_for(prefix + topic)) for topic in {row.topic for row in rows}}
    partitioned: defaultdict[tuple[str, int], list[Row]] = defaultdict(list)
    for row in rows:
        partitioned[row.topic, _hash(row.key) % counts[row.topic]].append(row)
    sends = (_send(producer, (prefix + topic, place), each) for (topic, place), each in partitioned.items())
    # All of them come to their end first: a round tried again must not overtake what is still on its way.
    ended = await asyncio.gather(*sends, return_exceptions=True)
    for error in ended:
        if error is not None:
            raise error


@lru_cache(maxsize=1 << 16)
def _hash(key: bytes) -> int:
    """What every Kafka client partitions by; remembered, for in Python it costs more than all else about a row."""
    hashed: int = murmur2(key) & 0x7FFFFFFF
    return hashed


async def _send(producer: AIOKafkaProducer, place: tuple[str, int], rows: Sequence[Row]) -> None:
    """Whole batches, in order: one is acknowledged before the next is sent."""
    topic, partition = place
    batch = producer.create_batch()
    for row in rows:
        if not _put(batch, row):
            await (await producer.send_batch(batch, topic, partition=partition))
            batch = producer.create_batch()
            _put(batch, row)
    await (await producer.send_batch(batch, topic, partition=partition))


def _put(batch: Any, row: Row) -> bool:  # noqa: ANN401 - aiokafka is untyped
    return batch.append(key=row.key, value=row.value, headers=_HEADERS.decode(row.headers), timestamp=None) is not None
