"""Fixtures of the integration tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.recovery_road import SmallRoad, small_road
from tests.stack import Database


@pytest.fixture
async def road(database: Database, kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> AsyncIterator[SmallRoad]:
    """The road in small, on topics and a database of its own."""
    async with small_road(database, kafka_bootstrap, topic_prefix, tmp_path) as made:
        yield made
