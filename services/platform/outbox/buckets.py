"""Which replica carries which keys: the keys fall into buckets, and a bucket is an advisory lock.

Each replica takes what is free, up to its fair share, and gives back what is more. The locks live and die with one
connection. A replica that dies loses it at once; a frozen one is silent, and PostgreSQL ends a silent session after
`SILENCE_SECONDS`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.platform import logs
from services.platform.db import is_transient
from services.platform.outbox import statements as sql
from services.platform.outbox.rows import BUCKETS

BEAT_SECONDS = 1.0
"""How often a replica looks whether its share is still fair."""
SILENCE_SECONDS = 5
"""After how long a frozen replica's buckets are free for the others."""


def fair(replicas: int) -> int:
    """How many buckets each of so many replicas carries at most.

    >>> fair(1), fair(3)
    (16, 6)
    """
    return -(-BUCKETS // max(1, replicas))


@dataclass(slots=True)
class Buckets:
    """The buckets of one outbox table that this replica owns now; `changed` hears which may have work."""

    engine: AsyncEngine
    table: str
    changed: Callable[[Iterable[int]], None]
    busy: Callable[[], frozenset[int]]
    """The buckets of rounds in progress: a bucket is given away after its round."""
    owned: frozenset[int] = frozenset()
    _leaving: frozenset[int] = field(default=frozenset())

    async def keep(self) -> None:
        """Hold a fair share until cancelled, through every absence of PostgreSQL."""
        while True:
            try:
                async with self._session() as connection:
                    while True:
                        await self._beat(connection)
                        await asyncio.sleep(BEAT_SECONDS)
            except Exception as error:
                if not is_transient(error):
                    raise
                logs.get("outbox").warning("buckets lost, taking them again", reason=type(error).__name__)
                await asyncio.sleep(BEAT_SECONDS)

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[AsyncConnection]:
        """The connection that holds the locks, and listens."""
        async with self.engine.connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert driver is not None
            driver.add_termination_listener(self._lost)
            await driver.add_listener(sql.channel(self.table), self._woken)
            await connection.execute(sql.MORTAL, {"milliseconds": str(SILENCE_SECONDS * 1_000)})
            try:
                while not (await connection.execute(sql.JOIN, {"table": self.table})).scalar_one():  # noqa: ASYNC110 - another process holds it
                    await asyncio.sleep(BEAT_SECONDS)
                yield connection
            finally:
                self._lost()
                with contextlib.suppress(Exception):
                    await connection.invalidate()

    async def _beat(self, connection: AsyncConnection) -> None:
        await self._give(connection)
        share = fair((await connection.execute(sql.REPLICAS, {"table": self.table})).scalar_one())
        if len(self.owned) > share:
            self._leaving |= frozenset(sorted(self.owned)[share:])
            self.owned -= self._leaving
            await self._give(connection)
        elif len(self.owned) < share:
            await self._take(connection, share - len(self.owned))

    async def _give(self, connection: AsyncConnection) -> None:
        free = self._leaving - self.busy()
        if free:
            await connection.execute(sql.GIVE, {"table": self.table, "buckets": sorted(free)})
            self._leaving -= free

    async def _take(self, connection: AsyncConnection, most: int) -> None:
        wanted = sorted(frozenset(range(BUCKETS)) - self.owned - self._leaving)
        values = {"table": self.table, "free": wanted, "most": most}
        taken = (await connection.execute(sql.TAKE, values)).scalars().all()
        if taken:
            self.owned |= frozenset(taken)
            self.changed(taken)

    def _lost(self, *_: object) -> None:
        self.owned = self._leaving = frozenset()

    def _woken(self, *arguments: object) -> None:
        """A transaction has appended to the buckets in the payload (to some, says the version before buckets)."""
        named = {int(each) for each in str(arguments[-1]).split()}
        self.changed(named & self.owned if named else self.owned)
