"""What one hand of a relay remembers from round to round."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from services.platform.outbox.rows import Lane, Row

FIRST = UUID(int=0)


class Round(NamedTuple):
    """What is looked at together, and how much of it at once."""

    lanes: tuple[Lane, ...]
    rows: int
    bytes: int
    tenants: int = 64
    """Most tenants of a bucket in one round; the next ones are the next round's."""


@dataclass(slots=True)
class Hand:
    """One sequence of rounds over a part of the buckets."""

    woken: asyncio.Event = field(default_factory=asyncio.Event)
    held: bool = False
    busy: frozenset[int] = frozenset()
    after: dict[Round, UUID] = field(default_factory=dict)
    """Where the tenants' turn stands, when there are more than a round takes."""
    drained: bool = False
    """The round before took all urgent rows there were: until somebody wakes us, there are no more."""
    bulk_at: float = 0.0
    """When the bulk lane is worth a look."""
    owes_bulk: bool = False
    """A look at it was put off till then."""

    def turn(self, kind: Round, rows: Sequence[Row]) -> None:
        """Go on after the last tenant of the bucket that had more of them than fit; else from the first again."""
        last: defaultdict[tuple[int, int], set[UUID]] = defaultdict(set)
        for row in rows:
            last[row.lane, row.bucket].add(row.tenant_id)
        full = [max(tenants) for tenants in last.values() if len(tenants) >= kind.tenants]
        self.after[kind] = min(full, default=FIRST)

    def took_all(self, kind: Round, rows: Sequence[Row]) -> bool:
        """Whether nothing was left behind: everybody had a turn, and nobody's share was cut."""
        turns = len({(row.lane, row.bucket, row.tenant_id) for row in rows})
        size = sum(len(row.value) for row in rows)
        return self.after[kind] == FIRST and len(rows) * turns < kind.rows and size * turns < kind.bytes
