"""What the door need not ask its database again: who is who, and whose episodes stand.

Both only ever come to be: a surrogate stays a reference's own, an episode stays. So what was committed once is true
in every door, and forgetting is only slower. Nothing is kept here before its transaction has been committed. A
database that was set back (a standby took over, a backup was restored) has broken its connections: with every new one
all is forgotten.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from uuid import UUID

from services.platform.vault import Kind

MOST = 200_000
"""Of each, some 50 MB in all: the clients of a large group of clinics."""
Name = tuple[UUID, Kind, str]
"""A tenant, and a reference of its own."""
Care = tuple[UUID, UUID, UUID | None]
"""A tenant, a client, and the token of an episode where one was named."""


class Remembered:
    """Bounded: what was used longest ago is forgotten first."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._surrogates: OrderedDict[Name, UUID] = OrderedDict()
        self._standing: OrderedDict[Care, None] = OrderedDict()

    def surrogates(self, tenant: UUID, kind: Kind, references: Iterable[str]) -> dict[str, UUID]:
        """Of those references that are remembered."""
        found = ((each, self._surrogates.get((tenant, kind, each))) for each in references)
        return {reference: surrogate for reference, surrogate in found if surrogate is not None}

    def stands(self, care: Care) -> bool:
        """Whether it is known that a fact of this client needs no new episode."""
        return care in self._standing

    def forget(self) -> None:
        """Ask the database again, for everything."""
        self._surrogates.clear()
        self._standing.clear()

    def keep(self, names: dict[Name, UUID], standing: Iterable[Care]) -> None:
        """Remember what a committed transaction saw."""
        for name, surrogate in names.items():
            self._surrogates[name] = surrogate
            self._surrogates.move_to_end(name)
        for care in standing:
            self._standing[care] = None
            self._standing.move_to_end(care)
        while len(self._surrogates) > self._most:
            self._surrogates.popitem(last=False)
        while len(self._standing) > self._most:
            self._standing.popitem(last=False)
