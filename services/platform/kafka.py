"""Kafka clients: one place for how we connect, what we wait for and what we read."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError, KafkaError, TopicAlreadyExistsError, for_code

from schemas.topics import MAX_MESSAGE_BYTES, TOPICS, Topic
from services.platform.errors import Unavailable
from services.platform.secrets import read_text
from services.platform.settings import Settings
from services.platform.watched import WatchedConsumer

METADATA_MS = 5_000
"""How soon a follower finds topics that were not there."""
STOP_SECONDS = 3.0
"""How long a start that is cut short may take to come to its end: cut off, it would leave a connection open."""


def connection(settings: Settings) -> dict[str, Any]:
    """What every client needs to reach the brokers."""
    secured: dict[str, Any] = {"bootstrap_servers": settings.kafka_bootstrap}
    if settings.kafka_security_protocol != "PLAINTEXT":
        secured["security_protocol"] = settings.kafka_security_protocol
    if settings.kafka_security_protocol.endswith("SSL"):
        secured["ssl_context"] = ssl.create_default_context(cafile=settings.kafka_ca_file)
    if settings.kafka_username:
        secured |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_username,
            "sasl_plain_password": read_text(settings.secrets_dir, "kafka-password"),
        }
    return secured


def producer(settings: Settings, *, transactional_id: str | None = None, **options: Any) -> AIOKafkaProducer:  # noqa: ANN401 - aiokafka's own
    """An idempotent producer that waits for all replicas; with an id, one whose former owner is fenced at start."""
    base: dict[str, Any] = {
        "enable_idempotence": True,
        "acks": "all",
        "linger_ms": 2,
        "compression_type": "zstd",  # aiokafka has lz4 at its slowest level: a fifth as fast, and larger
        "max_request_size": MAX_MESSAGE_BYTES,
    }
    if transactional_id:
        base["transactional_id"] = settings.topic(transactional_id)
    return AIOKafkaProducer(**connection(settings), **(base | options))


def consumer(settings: Settings, *topics: str, group: str | None = None, **options: Any) -> AIOKafkaConsumer:  # noqa: ANN401 - aiokafka's own
    """A consumer of committed records only. Without a group it is assigned by hand."""
    base: dict[str, Any] = {
        "isolation_level": "read_committed",
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "session_timeout_ms": settings.kafka_session_timeout_ms,
        "heartbeat_interval_ms": settings.kafka_session_timeout_ms // 3,
        "max_partition_fetch_bytes": MAX_MESSAGE_BYTES,
    }
    return WatchedConsumer(
        *(settings.topic(name) for name in topics),
        **connection(settings),
        group_id=settings.topic(group) if group else None,
        **(base | options),
    )


@asynccontextmanager
async def following(settings: Settings, *topics: str, group: str) -> AsyncIterator[AIOKafkaConsumer]:
    """A member of a group that finds topics which are not there yet; it leaves in order, however it is ended.

    It subscribes after its start: a start cut short would leave a connection open.
    """
    member = consumer(settings, group=group, metadata_max_age_ms=METADATA_MS)
    starting = asyncio.ensure_future(member.start())
    try:
        await asyncio.shield(starting)
        member.subscribe([settings.topic(name) for name in topics])
        yield member
    finally:
        await asyncio.wait([starting], timeout=STOP_SECONDS)
        with contextlib.suppress(KafkaError):
            await member.stop()


async def create_topics(settings: Settings, topics: tuple[Topic, ...] = TOPICS) -> list[str]:
    """Create what is missing, and return the names created. An existing topic is left as it is.

    Raises:
        Unavailable: no broker answers.
    """
    admin = AIOKafkaAdminClient(**connection(settings))
    try:
        await admin.start()
        wanted = [_new_topic(settings, topic) for topic in topics]
        present = set(await admin.list_topics())
        missing = [topic for topic in wanted if topic.name not in present]
        if missing:
            _check(await admin.create_topics(missing))
        return [topic.name for topic in missing]
    except KafkaConnectionError:
        raise Unavailable(f"no Kafka at {settings.kafka_bootstrap}", hint="is it running? `attune status`") from None
    finally:
        await admin.close()


def _new_topic(settings: Settings, topic: Topic) -> NewTopic:
    return NewTopic(
        name=settings.topic(topic.name),
        num_partitions=settings.kafka_partitions,
        replication_factor=settings.kafka_replication,
        topic_configs=topic.config(),
    )


def _check(response: Any) -> None:  # noqa: ANN401 - a protocol struct
    for name, code, *_ in response.topic_errors:
        if code and for_code(code) is not TopicAlreadyExistsError:
            raise Unavailable(f"topic {name} could not be created: {for_code(code).__name__}")
