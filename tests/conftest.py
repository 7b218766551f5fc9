"""Fixtures of the shared stack. It starts when the first test asks for it, and only then."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest

from services.local.stack import LocalStack
from tests.stack import Database, fresh_database, running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever uses the stack carries its marker: `-m "not stack"` is the quick half."""
    for item in items:
        if "stack" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.stack)


@pytest.fixture(scope="session")
async def stack() -> AsyncIterator[LocalStack]:
    """The Kafka and the PostgreSQL of this run."""
    async with running() as started:
        yield started


@pytest.fixture
def kafka_bootstrap(stack: LocalStack) -> str:
    """host:port of the run's Kafka."""
    return stack.kafka.bootstrap


@pytest.fixture
def topic_prefix() -> str:
    """Put before topics, groups and transactional ids, so that tests do not meet."""
    return f"t{uuid.uuid4().hex[:10]}-"


@pytest.fixture
async def database(stack: LocalStack) -> AsyncIterator[Database]:
    """A migrated, empty database for this test alone."""
    async with fresh_database(stack.postgres) as made:
        yield made


@pytest.fixture(scope="module")
async def module_database(stack: LocalStack) -> AsyncIterator[Database]:
    """A migrated database that a module's tests share."""
    async with fresh_database(stack.postgres) as made:
        yield made
