"""Which of a clinic's fitted parameters an episode is worked out with. A function of its facts and of what there is.

The latest version that was in force when the first of the facts was recorded. So whoever works an episode out again,
in whatever order its facts come, ends with the same; a later version never touches an episode that has begun.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from services.scoring.domain.config import DEFAULT, EngineConfig
from services.scoring.domain.facts import Fact


class InForce(NamedTuple):
    """One version of a clinic's parameters, and since when (microseconds since 1970)."""

    since: int
    engine: EngineConfig


def pinned(versions: Sequence[InForce], held: Mapping[str, Fact], new: Iterable[Fact]) -> EngineConfig:
    """The engine for an episode of these facts; the shipped one where none was in force yet. `versions` ascend.

    Facts that others drop never counted.
    """
    if not versions:
        return DEFAULT
    facts = {**held, **{fact.fact_id: fact for fact in new}}
    dropped = {fact.drops for fact in facts.values() if fact.drops}
    begun = min((fact.recorded_at for fact in facts.values() if fact.fact_id not in dropped), default=0)
    return next((each.engine for each in reversed(versions) if each.since <= begun), DEFAULT)
