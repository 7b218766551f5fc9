"""PostgreSQL: one engine per process, every transaction bound to the tenants it may see (row-level security)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from time import monotonic
from typing import Any, ClassVar
from uuid import UUID

import asyncpg
from sqlalchemy import DateTime, MetaData, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import ConnectionPoolEntry, Pool

from services.platform.errors import ConfigurationError, Unavailable
from services.platform.secrets import read_text
from services.platform.settings import Settings

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
IDLE_SECONDS = 1.0
_PASSING = ("08", "40", "53", "57")
"""SQLSTATE classes: connection, deadlock or serialisation, out of resources, stopping or starting."""
_BIND = text("select set_config('app.tenants', :tenants, true)")


class Base(DeclarativeBase):
    """The root of every typed model; a service's models name their own PostgreSQL schema."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar = {datetime: DateTime(timezone=True)}


def address(settings: Settings) -> URL:
    """Where the database is, with the password that is a secret, if there is one.

    Raises:
        ConfigurationError: no database address.
    """
    if not settings.database_url:
        raise ConfigurationError("no database address", hint="set ATTUNE_DATABASE_URL")
    url = make_url(settings.database_url)
    password = read_text(settings.secrets_dir, "database-password")
    return url.set(password=password) if password else url


BY_INDEX = {"enable_seqscan": "off", "jit": "off", "plan_cache_mode": "force_generic_plan"}
"""For who only looks up by index: plans made while a table was empty read all of it, for as long as they are used."""


def create_engine(settings: Settings, plans: Mapping[str, str] | None = None) -> AsyncEngine:
    """The process's engine. `plans` are settings of PostgreSQL for each connection.

    Raises:
        ConfigurationError: no database address.
    """
    patience: dict[str, Any] = {"command_timeout": settings.database_seconds, "timeout": settings.database_seconds}
    engine = create_async_engine(
        address(settings),
        hide_parameters=True,
        pool_size=settings.database_pool,
        max_overflow=0,
        pool_reset_on_return=None,  # `transaction` has ended what it began; a rollback of nothing is a round trip
        connect_args=patience | {"connection_class": Bound, "server_settings": dict(plans or {})},
    )
    _look_at_the_idle(engine.pool)
    return engine


def _look_at_the_idle(pool: Pool) -> None:
    """Before a connection is used that has idled, see whether it still stands: busy ones tell soon enough."""

    def came_back(_: object, record: ConnectionPoolEntry) -> None:
        record.info["since"] = monotonic()

    def goes_out(connection: Any, record: ConnectionPoolEntry, _: object) -> None:  # noqa: ANN401 - the driver's
        if monotonic() - record.info.get("since", monotonic()) > IDLE_SECONDS:
            try:
                connection.ping()
            except Exception as error:
                raise DisconnectionError from error

    event.listen(pool, "checkin", came_back)
    event.listen(pool, "checkout", goes_out)


def tenants_setting(tenants: Iterable[UUID]) -> str:
    """The value of `app.tenants`.

    >>> tenants_setting([UUID(int=1), UUID(int=2)])
    '{00000000-0000-0000-0000-000000000001,00000000-0000-0000-0000-000000000002}'
    """
    return "{" + ",".join(str(tenant) for tenant in tenants) + "}"


class Bound(asyncpg.Connection):  # type: ignore[misc]  # asyncpg is untyped
    """A connection whose next transaction begins with its tenants: to bind it afterwards is one more round trip.

    Whoever begins otherwise than `transaction` is bound to nobody, and sees nothing.
    """

    tenants: str | None = None

    async def execute(self, query: str, *arguments: Any, timeout: float | None = None) -> str:  # noqa: ANN401, ASYNC109 - the driver's own
        if query.startswith("BEGIN") and self.tenants is not None:
            query = f"{query} select set_config('app.tenants', '{self.tenants}', true)"
        told: str = await super().execute(query, *arguments, timeout=timeout)
        return told


@asynccontextmanager
async def transaction(engine: AsyncEngine, tenants: Iterable[UUID] = ()) -> AsyncIterator[AsyncConnection]:
    """A transaction that sees the rows of exactly these tenants; it commits at the end or not at all."""
    seen = tenants_setting(tenants)
    async with engine.connect() as connection:
        driver = connection.sync_connection.connection.driver_connection  # type: ignore[union-attr]  # it is connected
        bound = driver if type(driver) is Bound else None  # the driver's classes say of each other that they are one
        try:
            if bound is not None:
                bound.tenants = seen
            async with connection.begin():
                if bound is None:
                    await connection.execute(_BIND, {"tenants": seen})
                yield connection
        finally:
            if bound is not None:
                bound.tenants = None


def is_transient(error: BaseException) -> bool:
    """Whether the same statement may succeed later: the connection broke, or the server was busy or away."""
    if isinstance(error, OSError | Unavailable | InterfaceError | OperationalError | PoolTimeout):
        return True
    if not isinstance(error, DBAPIError):
        return False
    state: str = getattr(error.orig, "sqlstate", None) or ""
    return error.connection_invalidated or state.startswith(_PASSING)


async def ping(engine: AsyncEngine) -> None:
    """Answer, or raise what the driver raises: for readiness."""
    async with engine.connect() as connection:
        await connection.execute(text("select 1"))
