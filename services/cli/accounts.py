"""Tenants and keys, as the operator's role may see and change them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.platform.auth import Scope, issue
from services.platform.db import create_engine, transaction
from services.platform.errors import Refused
from services.platform.settings import Settings

_TENANTS = text("select tenant_id, name, display_name, created_at, settings from access.tenant order by name")
_TENANT = text("select tenant_id from access.tenant where name = :name")
_SET = text("update access.tenant set settings = settings || cast(:change as jsonb) where tenant_id = :tenant")
_KEYS = text("""
    select k.prefix, t.name as tenant, k.scopes, k.created_at, k.expires_at, k.revoked_at
    from access.api_key k join access.tenant t using (tenant_id) order by t.name, k.created_at
""")
_KEY = text("select tenant_id, scopes from access.api_key where prefix = :prefix and revoked_at is null")
_EXPIRE = text("""
    update access.api_key set revoked_at = case when :now >= cast(:at as timestamptz) then :now end,
                              expires_at = least(expires_at, cast(:at as timestamptz))
    where tenant_id = :tenant and prefix = :prefix
""")


@asynccontextmanager
async def database(settings: Settings) -> AsyncIterator[AsyncEngine]:
    """An engine for the length of a command."""
    engine = create_engine(settings)
    try:
        yield engine
    finally:
        await engine.dispose()


async def tenants(engine: AsyncEngine) -> list[dict[str, Any]]:
    """Every tenant."""
    async with transaction(engine) as connection:
        return [dict(row) for row in (await connection.execute(_TENANTS)).mappings()]


async def find_tenant(engine: AsyncEngine, name: str) -> UUID:
    """The tenant of this name.

    Raises:
        Refused: there is none.
    """
    async with transaction(engine) as connection:
        found: UUID | None = (await connection.execute(_TENANT, {"name": name})).scalar()
    if found is None:
        raise Refused(f"no tenant is named {name}", hint="`attune tenants list`, or `attune tenants create`")
    return found


async def change_settings(engine: AsyncEngine, tenant: UUID, change: str) -> None:
    """Merge a JSON object into a tenant's settings."""
    async with transaction(engine, [tenant]) as connection:
        await connection.execute(_SET, {"tenant": tenant, "change": change})


async def keys(engine: AsyncEngine) -> list[dict[str, Any]]:
    """Every key, by prefix; their texts are kept nowhere."""
    async with transaction(engine) as connection:
        return [dict(row) for row in (await connection.execute(_KEYS)).mappings()]


async def new_key(
    engine: AsyncEngine, tenant: UUID, scopes: Sequence[Scope], expires_at: datetime | None = None
) -> str:
    """A new key's text, to be shown once."""
    async with transaction(engine, [tenant]) as connection:
        return await issue(connection, tenant, scopes, expires_at=expires_at)


async def retire(engine: AsyncEngine, prefix: str, *, at: datetime, now: datetime) -> tuple[UUID, list[Scope]]:
    """End a key at a time, which may be now; whose it was and what it could do.

    Raises:
        Refused: no such key is active.
    """
    async with transaction(engine) as connection:
        row = (await connection.execute(_KEY, {"prefix": prefix})).one_or_none()
    if row is None:
        raise Refused(f"no active key has the prefix {prefix}", hint="`attune keys list`")
    async with transaction(engine, [row.tenant_id]) as connection:
        await _expire(connection, row.tenant_id, prefix, (at, now))
    return row.tenant_id, list(row.scopes)


async def _expire(connection: AsyncConnection, tenant: UUID, prefix: str, when: tuple[datetime, datetime]) -> None:
    at, now = when
    await connection.execute(_EXPIRE, {"tenant": tenant, "prefix": prefix, "at": at, "now": now})
