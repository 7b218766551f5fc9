"""A clinic's recorded events: a file, or its inbox, which holds facts with surrogates and never a reference."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.cli.accounts import database, find_tenant
from services.cli.bars import Advance, bar
from services.cli.invocation import OPERATOR, Invocation, finish
from services.platform.db import transaction
from services.platform.errors import ConfigurationError

PAGE = 2_000
_HOW_MANY = text("select count(*) from ingest.inbox where tenant_id = :tenant")
_FACTS = text("""
    select value from ingest.inbox where tenant_id = :tenant order by client_id, received_at, event_id
""")
"""Of each client in the order of receipt, which is what the index holds: nothing has to be sorted."""


def recorded(made: Invocation, events: Path | None, tenant: str | None) -> AbstractContextManager[Path]:
    """The file that was named, or what the inbox of a tenant holds.

    Raises:
        ConfigurationError: neither was named, or both.
    """
    if events is not None and tenant is None:
        return nullcontext(events)
    if tenant is not None and events is None:
        return inbox(made, tenant)
    raise ConfigurationError("which events?", hint="--events FILE or --tenant NAME")


@contextmanager
def inbox(made: Invocation, tenant: str) -> Iterator[Path]:
    """A tenant's facts as a file, for as long as the block lasts; only this user can read it.

    Raises:
        Refused: no such tenant.
    """
    with tempfile.TemporaryDirectory(prefix="attune-inbox-") as folder:
        path = Path(folder) / "facts.ndjson"
        finish(_fetch(made, tenant, path))
        yield path


async def _fetch(made: Invocation, name: str, into: Path) -> None:
    async with database(made.settings(OPERATOR)) as engine:
        tenant = await find_tenant(engine, name)
        async with transaction(engine, [tenant]) as connection:
            total = int((await connection.execute(_HOW_MANY, {"tenant": tenant})).scalar_one())
        with bar(made.say, "reading the inbox", total) as progress:
            await _write(engine, tenant, into, progress)


async def _write(engine: AsyncEngine, tenant: UUID, into: Path, progress: Advance) -> None:
    with into.open("wb") as file:
        async with transaction(engine, [tenant]) as connection:
            rows = await connection.stream(_FACTS, {"tenant": tenant}, execution_options={"yield_per": PAGE})
            async for page in rows.scalars().partitions():
                file.writelines(value + b"\n" for value in page)
                progress.by(len(page))
