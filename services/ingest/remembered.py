"""What the door need not ask its database again: who is who, and whose episodes stand.

Both only ever come to be: a surrogate stays a reference's own, an episode stays. So what was committed once is true
in every door, and forgetting is only slower. Who was merged into whom is remembered too, and held against the episodes
each time, under their lock: it may be taken back. Nothing is kept here before its transaction has been committed. A
database that was set back (a standby took over, a backup was restored) has broken its connections: with every new one
all is forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any
from uuid import UUID

from services.platform.vault import Kind

MOST = 200_000
"""Of each, some 50 MB in all: the clients of a large group of clinics."""
Name = tuple[UUID, Kind, str]
"""A tenant, and a reference of its own."""
Care = tuple[UUID, UUID, UUID | None]
"""A tenant, a client, and the token of an episode where one was named."""


class Remembered:
    """Bounded: what was learnt first is forgotten first, and learnt again when it is used."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._surrogates: dict[Name, UUID] = {}
        self._standing: dict[Care, None] = {}
        self._moved: dict[UUID, dict[UUID, UUID]] = {}

    def surrogates(self, tenant: UUID, kind: Kind, references: Iterable[str]) -> dict[str, UUID]:
        """Of those references that are remembered."""
        found = ((each, self._surrogates.get((tenant, kind, each))) for each in references)
        return {reference: surrogate for reference, surrogate in found if surrogate is not None}

    def now(self, tenant: UUID, client: UUID) -> UUID:
        """Who a client is by now, as far as it is remembered: `move` was told of merges."""
        moved = self._moved.get(tenant)
        while moved and client in moved:
            client = moved[client]
        return client

    def move(self, tenant: UUID, to: Mapping[UUID, UUID] | None) -> None:
        """These clients are others by now. Nothing: a merge was taken back, ask again for all of this tenant."""
        if to is None:
            self._moved.pop(tenant, None)
        else:
            self._moved.setdefault(tenant, {}).update(to)

    def stands(self, care: Care) -> bool:
        """Whether it is known that a fact of this client needs no new episode."""
        return care in self._standing

    def forget(self) -> None:
        """Ask the database again, for everything."""
        self._surrogates.clear()
        self._standing.clear()
        self._moved.clear()

    def keep(self, names: Mapping[Name, UUID], standing: Iterable[Care]) -> None:
        """Remember what a committed transaction saw."""
        self._surrogates |= names
        self._standing |= dict.fromkeys(standing)
        _shorten(self._surrogates, self._most)
        _shorten(self._standing, self._most)


def _shorten(known: dict[Any, Any], most: int) -> None:
    for each in list(islice(known, max(0, len(known) - most))):
        del known[each]
