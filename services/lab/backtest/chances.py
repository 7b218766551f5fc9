"""What a clinic's hazard of dropout would have said of a course, session by session."""

from __future__ import annotations

from collections.abc import Sequence

from services.lab.dropout_events import periods
from services.scoring.domain.config import EngineConfig
from services.scoring.domain.facts import Fact
from services.scoring.domain.hazard import weigh


def chances(engine: EngineConfig, facts: Sequence[Fact]) -> tuple[float, ...]:
    """Of every attended session of a course: how likely it was the last one, from what was known then.

    A model that may not speak is asked all the same: this is the laboratory.
    """
    if engine.hazard is None:
        return ()
    return tuple([weigh(engine.hazard, each.features).next for each in periods("", facts, "other-end", engine)])
