"""The names that copies go by when a client is merged into another one: the same for whoever works them out."""

from __future__ import annotations

from uuid import UUID, uuid5


def record_in(episode: UUID, record: UUID) -> UUID:
    """The record in the episode that has it now.

    >>> record_in(UUID(int=1), UUID(int=2)) != record_in(UUID(int=3), UUID(int=2))
    True
    """
    return uuid5(episode, str(record))


def fact_by(merge: UUID, fact: UUID) -> UUID:
    """The copy of a fact that this merge made. A merge is named by its own fact."""
    return uuid5(merge, str(fact))
