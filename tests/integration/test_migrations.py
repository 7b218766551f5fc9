"""The migrations on a real PostgreSQL: there and back, every table closed, every role small."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from migrations import run
from migrations.policies import ROLES
from services.alerts import models as alerts_models
from services.ingest import models as ingest_models
from services.local.postgres import OWNER
from services.local.stack import LocalStack
from services.platform import tenants, vault
from services.platform.db import Base, transaction
from tests.stack import Database

MODELS = (alerts_models, ingest_models, tenants, vault)
SCHEMAS = "('access', 'vault', 'ingest', 'alerts')"
TABLES = (
    "from pg_class c join pg_namespace n on n.oid = c.relnamespace"
    f" where relkind in ('r', 'p') and nspname in {SCHEMAS}"
)


async def ask(database: Database, query: str, role: str = "postgres", bound: tuple[uuid.UUID, ...] = ()) -> list[Any]:
    engine = create_async_engine(database.url(role))
    try:
        async with transaction(engine, bound) if bound else engine.begin() as connection:
            found = await connection.execute(text(query))
            return list(found) if found.returns_rows else []
    finally:
        await engine.dispose()


@pytest.fixture
async def empty(stack: LocalStack) -> AsyncIterator[Database]:
    """A database that no migration has seen."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    connection = await stack.postgres.connect()
    await connection.execute(f"create database {name} owner {OWNER}")
    yield Database(name, stack.postgres)
    await connection.execute(f"drop database {name} with (force)")
    await connection.close()


async def test_up_down_and_up_again(empty: Database) -> None:
    """Every migration can be taken back to nothing and applied again."""
    await run.upgrade(empty.url())
    first = await ask(empty, f"select nspname, relname {TABLES} order by 1, 2")
    await run.downgrade(empty.url())
    assert await ask(empty, f"select nspname, relname {TABLES}") == []
    await run.upgrade(empty.url())
    assert await ask(empty, f"select nspname, relname {TABLES} order by 1, 2") == first
    at, newest = await run.current(empty.url())
    assert at == newest


async def test_every_table_is_under_forced_row_level_security(module_database: Database) -> None:
    """No table of ours lacks it, and each has a policy: one that is forgotten fails here by name."""
    tables = await ask(
        module_database,
        "select nspname || '.' || relname, relrowsecurity and relforcerowsecurity,"
        f" exists (select from pg_policy where polrelid = c.oid) {TABLES}",
    )
    assert len(tables) >= 9
    assert [name for name, forced, policy in tables if not (forced and policy)] == []


async def test_models_and_migrations_tell_the_same(module_database: Database) -> None:
    """What SQLAlchemy's models describe is what the migrations made."""

    def differences(connection: Connection) -> list[Any]:
        options = {"include_schemas": True, "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        return [each for each in compare_metadata(context, Base.metadata) if not _is_alembics_own(each)]

    engine = create_async_engine(module_database.url())
    async with engine.connect() as connection:
        found = await connection.run_sync(differences)
    await engine.dispose()
    assert found == []


def _is_alembics_own(difference: Any) -> bool:  # noqa: ANN401 - alembic's nested tuples
    return bool(difference[0] == "remove_table" and difference[1].name == "alembic_version")


async def test_service_roles_are_small(module_database: Database) -> None:
    """None is superuser, may bypass row-level security or owns a table."""
    names = ", ".join(f"'{role}'" for role in ROLES)
    roles = await ask(module_database, f"select rolsuper or rolbypassrls from pg_roles where rolname in ({names})")
    assert [wide for (wide,) in roles] == [False] * len(ROLES)
    owners = await ask(module_database, f"select distinct pg_get_userbyid(relowner) {TABLES}")
    assert {owner for (owner,) in owners}.isdisjoint(ROLES)


@pytest.mark.parametrize("table", ["vault.entry", "ingest.inbox", "ingest.episode", "ingest.outcome"])
async def test_without_a_tenant_nothing_is_seen(module_database: Database, table: str) -> None:
    """A transaction that names no tenant is refused."""
    tenant = uuid.uuid4()
    await ask(
        module_database,
        "insert into vault.entry (tenant_id, surrogate, kind, blind_index, ciphertext, key_id)"
        f" values ('{tenant}', '{uuid.uuid4()}', 'client', '{tenant}', 'x', 'v1')",
    )
    with pytest.raises(DBAPIError):
        await ask(module_database, f"select * from {table}", role="attune_ingest")


@pytest.mark.parametrize("role", ["attune_ingest", "attune_alerts", "attune_operator", "attune_relay"])
@pytest.mark.parametrize("statement", ["update vault.opening set purpose = 'x'", "delete from vault.opening"])
async def test_the_audit_is_append_only(module_database: Database, role: str, statement: str) -> None:
    """No service may change or remove what says who opened the vault."""
    with pytest.raises(DBAPIError, match="permission denied"):
        await ask(module_database, statement, role=role, bound=(uuid.UUID(int=1),))
