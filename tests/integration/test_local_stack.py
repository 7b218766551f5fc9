"""The local stack does what a service expects of a Kafka and a PostgreSQL."""

from __future__ import annotations

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from schemas.topics import TOPICS
from services.local.stack import LocalStack
from services.platform.kafka import create_topics
from services.platform.settings import Settings
from tests.stack import Database


async def test_topics_are_created_once(kafka_bootstrap: str, topic_prefix: str) -> None:
    """All topics of the published language can be made, and making them again changes nothing."""
    settings = Settings(kafka_bootstrap=kafka_bootstrap, kafka_topic_prefix=topic_prefix, kafka_partitions=2)
    assert len(await create_topics(settings)) == len(TOPICS)
    assert await create_topics(settings) == []


async def test_a_transaction_is_read_when_committed(kafka_bootstrap: str, topic_prefix: str) -> None:
    """One node carries transactions: what was aborted is not read, what was committed is."""
    settings = Settings(kafka_bootstrap=kafka_bootstrap, kafka_topic_prefix=topic_prefix, kafka_partitions=1)
    await create_topics(settings)
    topic = settings.topic(TOPICS[0].name)
    async with AIOKafkaProducer(bootstrap_servers=kafka_bootstrap, transactional_id=topic_prefix) as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"aborted", key=b"k")
        await producer.abort_transaction()
        async with producer.transaction():
            await producer.send_and_wait(topic, b"committed", key=b"k")
    async with AIOKafkaConsumer(
        topic, bootstrap_servers=kafka_bootstrap, auto_offset_reset="earliest", isolation_level="read_committed"
    ) as consumer:
        assert (await consumer.getone()).value == b"committed"


async def test_each_test_has_a_database_of_its_own(database: Database, module_database: Database) -> None:
    """Two databases of one run do not know each other."""
    assert database.name != module_database.name
    connection = await database.server.connect(role="attune_owner", database=database.name)
    assert await connection.fetchval("select current_database()") == database.name
    await connection.close()


async def test_postgres_is_only_on_its_socket(stack: LocalStack) -> None:
    """No port is open, and only the server's own account may enter the folder of its socket."""
    connection = await stack.postgres.connect()
    assert await connection.fetchval("show listen_addresses") == ""
    await connection.close()
    assert stack.postgres.place.socket.stat().st_mode & 0o077 == 0
