"""A transaction is bound to its tenants as it begins, and to nobody else's before, after, or when it fails."""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.platform import db
from services.platform.settings import Settings
from tests.stack import Database

ONE, OTHER = UUID(int=1), UUID(int=2)
SEEN = text("select coalesce(current_setting('app.tenants', true), '')")


async def seen(connection: AsyncConnection) -> str:
    return str((await connection.execute(SEEN)).scalar_one())


async def test_a_transaction_sees_its_tenants_and_the_next_one_its_own(database: Database) -> None:
    """One connection, one after the other: whoever was there before leaves nothing behind, not even by failing."""
    engine = db.create_engine(Settings(database_url=database.url("attune_ingest"), database_pool=1))
    async with db.transaction(engine, [ONE, OTHER]) as connection:
        assert await seen(connection) == db.tenants_setting([ONE, OTHER])
    with pytest.raises(DBAPIError):
        async with db.transaction(engine, [ONE]) as connection:
            await connection.execute(text("select 1 / 0"))
    async with engine.begin() as connection:
        assert await seen(connection) == ""
    async with db.transaction(engine) as connection:
        assert await seen(connection) == "{}"
    async with db.transaction(engine, [OTHER]):
        pass  # it asked nothing, so it never began
    async with engine.begin() as connection:
        assert await seen(connection) == ""
    await engine.dispose()


async def test_beginning_and_binding_is_one_round_trip(database: Database) -> None:
    """The driver's BEGIN carries the tenants: where a driver begins otherwise, this says so."""
    engine = db.create_engine(Settings(database_url=database.url("attune_ingest")))
    asked: list[str] = []
    async with db.transaction(engine, [ONE]) as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        assert type(driver) is db.Bound
        driver.add_query_logger(lambda record: asked.append(record.query))
        await connection.execute(text("select 1"))
    # What is prepared is not logged by the driver.
    assert [each.split()[0] for each in asked] == ["BEGIN;", "COMMIT;"]
    assert db.tenants_setting([ONE]) in asked[0]
    await engine.dispose()
