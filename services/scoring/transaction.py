"""One chunk's output as one Kafka transaction of its source partition."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import InvalidProducerEpoch, KafkaError, ProducerFenced
from aiokafka.structs import RecordMetadata

from services.platform import kafka
from services.platform.errors import AttuneError
from services.platform.settings import Settings

BATCH_BYTES = 1024 * 1024
TRANSACTION_MS = 60_000


class Fenced(AttuneError):
    """Another worker owns this partition now: what this one holds of it must go nowhere."""


class Aborted(Exception):
    """The transaction was aborted, nothing of it is visible; the same chunk may be tried again."""


class Writable(Protocol):
    """A record to write: everything but its topic and partition."""

    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> tuple[tuple[str, bytes], ...]: ...


Writes = Sequence[tuple[str, Sequence[Writable]]]
"""Records by topic, in the order they are to be written."""


def producer(settings: Settings, partition: int) -> AIOKafkaProducer:
    """The producer of one source partition. Its `start()` fences whoever had this partition before."""
    return kafka.producer(
        settings,
        transactional_id=f"attune-scoring-{partition}",
        linger_ms=0,
        max_batch_size=BATCH_BYTES,
        transaction_timeout_ms=TRANSACTION_MS,
    )


async def write(producer: AIOKafkaProducer, partition: int, writes: Writes) -> dict[str, int]:
    """Write all or nothing; the last offset written by topic.

    Raises:
        Fenced: another worker owns the partition.
        Aborted: nothing was written, and trying again may help.
        KafkaError: whether it was written is unknown; only recovery from the changelog tells.
    """
    await producer.begin_transaction()
    try:
        last = await _send(producer, partition, writes)
    except (ProducerFenced, InvalidProducerEpoch) as error:
        raise _fenced(partition) from error
    except KafkaError as error:
        await producer.abort_transaction()
        raise Aborted(type(error).__name__) from error
    try:
        await producer.commit_transaction()
    except (ProducerFenced, InvalidProducerEpoch) as error:
        raise _fenced(partition) from error
    return last


def _fenced(partition: int) -> Fenced:
    return Fenced(f"partition {partition} belongs to another worker", hint="this worker restarts and joins anew")


async def _send(producer: AIOKafkaProducer, partition: int, writes: Writes) -> dict[str, int]:
    sent = {topic: await _send_all(producer, topic, partition, records) for topic, records in writes if records}
    return {topic: _last(await asyncio.gather(*futures)) for topic, futures in sent.items()}


def _last(written: Iterable[RecordMetadata]) -> int:
    return max(int(metadata.offset) for metadata in written)


async def _send_all(
    producer: AIOKafkaProducer, topic: str, partition: int, records: Sequence[Writable]
) -> list[asyncio.Future[Any]]:
    """Whole batches: a future for each instead of one for each record."""
    futures = []
    batch = producer.create_batch()
    for record in records:
        if not _append(batch, record):
            futures.append(await producer.send_batch(batch, topic, partition=partition))
            batch = producer.create_batch()
            _append(batch, record)
    futures.append(await producer.send_batch(batch, topic, partition=partition))
    return futures


def _append(batch: Any, record: Writable) -> bool:  # noqa: ANN401 - aiokafka is untyped
    appended = batch.append(key=record.key, value=record.value, headers=list(record.headers), timestamp=None)
    return appended is not None
