"""One real Kafka and one real PostgreSQL for a whole test run, on free ports, in a folder that goes away."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from services.local.postgres import OWNER, PostgresServer
from services.local.progress import Silent
from services.local.settings import LocalSettings
from services.local.setup import ensure
from services.local.stack import LocalStack

TEMPLATE = "attune_template"


@dataclass(frozen=True, slots=True)
class Database:
    """A database of one test's own, migrated, empty."""

    name: str
    server: PostgresServer

    def url(self, role: str = OWNER) -> str:
        """The address for SQLAlchemy (asyncpg), as one of the roles; `postgres` is the superuser."""
        return self.server.url(role, self.name)


@asynccontextmanager
async def running() -> AsyncIterator[LocalStack]:
    """Kafka and PostgreSQL, without our services and without fsync."""
    folder = _folder()
    try:
        stack = _stack(folder)
        async with stack.running():
            await _make_template(stack.postgres)
            yield stack
    finally:
        shutil.rmtree(folder)


def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="attune-test-"))
    if os.geteuid() == 0:
        folder.chmod(0o711)  # the account that PostgreSQL gets must pass; what is inside has its own locks
    return folder


def _stack(folder: Path) -> LocalStack:
    cache = LocalSettings().cache  # the downloads of this checkout
    settings = LocalSettings(home=folder, cache_dir=cache, kafka_port=0, durable=False)
    return LocalStack(settings, ensure(settings, Silent()), dict(os.environ), programs=())


async def _make_template(server: PostgresServer) -> None:
    connection = await server.connect()
    await connection.execute(f"create database {TEMPLATE} owner {OWNER}")
    await connection.close()
    if importlib.util.find_spec("migrations.run"):
        from migrations.run import upgrade  # noqa: PLC0415 - only where there is something to migrate

        await upgrade(server.url(OWNER, TEMPLATE))


@asynccontextmanager
async def fresh_database(server: PostgresServer) -> AsyncIterator[Database]:
    """A copy of the migrated template, dropped at the end."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    connection = await server.connect()
    try:
        await connection.execute(f"create database {name} template {TEMPLATE} owner {OWNER}")
        yield Database(name, server)
        await connection.execute(f"drop database {name} with (force)")
    finally:
        await connection.close()
