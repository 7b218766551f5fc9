"""Bring a database to a revision, from code: for the command line, the local stack and the tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

_LOCK = 0x417474756E65
"""Two who migrate at once: the second waits, then finds nothing to do."""


def config() -> Config:
    alembic = Config()
    alembic.set_main_option("script_location", str(Path(__file__).parent))
    return alembic


async def upgrade(database_url: str, revision: str = "head") -> None:
    await _run(database_url, lambda alembic: command.upgrade(alembic, revision))


async def downgrade(database_url: str, revision: str = "base") -> None:
    await _run(database_url, lambda alembic: command.downgrade(alembic, revision))


async def current(database_url: str) -> tuple[str | None, str | None]:
    """The revision the database is at, and the newest there is."""
    engine = create_async_engine(database_url)
    try:
        async with engine.connect() as connection:
            at = await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())
    finally:
        await engine.dispose()
    return at, ScriptDirectory.from_config(config()).get_current_head()


async def _run(database_url: str, what: Callable[[Config], None]) -> None:
    engine = create_async_engine(database_url)

    def inside(connection: Connection) -> None:
        alembic = config()
        alembic.attributes["connection"] = connection
        what(alembic)

    try:
        async with engine.connect() as connection:
            await connection.execute(text(f"select pg_advisory_lock({_LOCK})"))
            await connection.commit()
            await connection.run_sync(inside)
            await connection.commit()
            await connection.execute(text(f"select pg_advisory_unlock({_LOCK})"))
            await connection.commit()
    finally:
        await engine.dispose()
