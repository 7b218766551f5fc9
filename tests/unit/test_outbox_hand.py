"""When a relay's hand may say that nothing urgent is left until somebody wakes it."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from services.platform.outbox.hands import Hand, Round
from services.platform.outbox.rows import Lane, Row

KIND = Round((Lane.RISK, Lane.LIVE), rows=100, bytes=10_000, tenants=3)


def rows(counts: dict[tuple[int, int], int], size: int = 10) -> list[Row]:
    """So many rows of each (bucket, tenant)."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return [
        Row(Lane.LIVE, number, UUID(int=tenant), bucket, "t", b"k", b"x" * size, b"", at)
        for (bucket, tenant), count in counts.items()
        for number in range(count)
    ]


@pytest.mark.parametrize(
    ("counts", "size", "all_of_it"),
    [
        ({(0, 1): 99}, 10, True),
        ({(0, 1): 100}, 10, False),
        ({(0, 1): 48, (1, 1): 1}, 10, True),
        ({(0, 1): 50, (1, 2): 1}, 10, False),
        ({(0, 1): 9}, 1_200, False),
        ({(0, 1): 1, (0, 2): 1}, 10, True),
        ({(0, 1): 1, (0, 2): 1, (0, 3): 1}, 10, False),
    ],
)
def test_a_share_that_may_have_been_cut_is_looked_at_again(
    counts: dict[tuple[int, int], int], size: int, *, all_of_it: bool
) -> None:
    """Each that waits has an equal share of a round: who may have more left is not told to wait."""
    hand, found = Hand(), rows(counts, size)
    hand.turn(KIND, found)
    assert hand.took_all(KIND, found) is all_of_it
