"""Whose fault it is that a batch cannot be taken in: the episodes that fail alone, found by halving.

One clinic's episode that our own code or the database cannot digest must not keep everybody's alerts waiting, risk
answers among them. Nothing that is tried here stays: killed on it, the batch is simply read again.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from schemas.errors import ContractError
from services.alerts.adapters.batch import Batch, Taker

MOST = 20
"""So many at once are no episodes' fault but ours: then it is better to stop and say so."""


class Unprocessable(ContractError):
    """A valid event that could not be taken in."""

    code = "unprocessable"


def blame(error: Exception) -> Unprocessable:
    """What to say in the dead letter: the kind of the failure, nothing of what it was about."""
    return Unprocessable(f"alerts could not take it in: {type(getattr(error, 'orig', error)).__name__}")


async def guilty(taker: Taker, batch: Batch) -> set[UUID]:
    """The episodes of a failed batch that fail alone; none where that explains nothing, or where they are too many.

    Raises:
        Exception: what passes, such as a lost connection: the whole batch is tried again.
    """
    found, waiting = set[UUID](), [sorted(batch.episodes)]
    while waiting and len(found) <= MOST:
        some = waiting.pop()
        if not await taker.fails(batch.only(some)):
            continue
        if len(some) == 1:
            found.update(some)
        else:
            waiting += _halves(some)
    return found if len(found) <= MOST else set()


def _halves(episodes: Sequence[UUID]) -> list[list[UUID]]:
    middle = len(episodes) // 2
    return [[*episodes[middle:]], [*episodes[:middle]]]
