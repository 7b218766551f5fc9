"""How much of what is scarce one clinic may have: never all of it, and whoever comes new still finds some."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from uuid import UUID
from weakref import WeakValueDictionary


class Full(Exception):
    """This clinic has its share: it should come back."""


def share(most: int, others: int) -> int:
    """The share of one beside so many others: half alone, a third beside one, and so on; never nothing.

    >>> share(200, 0), share(200, 1), share(200, 8), share(4, 50)
    (100, 66, 20, 1)
    """
    return max(1, most // (2 + others))


class Slots:
    """Places for work that lasts, such as a batch. Twice `most` is the end for all together: each holds much."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._working: Counter[UUID] = Counter()

    @contextmanager
    def taken(self, tenant: UUID) -> Iterator[None]:
        """Hold a place.

        Raises:
            Full: the tenant has its share, or all together have theirs.
        """
        others = len(self._working.keys() - {tenant})
        if self._working[tenant] >= share(self._most, others) or self._working.total() >= 2 * self._most:
            self._working += Counter()  # a look leaves nothing behind
            raise Full
        self._working[tenant] += 1
        try:
            yield
        finally:
            self._working[tenant] -= 1
            self._working += Counter()


class Turns:
    """One at a time, clinics in turn: of each at most one stands in the line, however many of its own wait behind."""

    def __init__(self) -> None:
        self._line = asyncio.Lock()
        self._theirs: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, tenant: UUID) -> AsyncIterator[None]:
        theirs = self._theirs.setdefault(tenant, asyncio.Lock())
        async with theirs, self._line:
            yield
