"""Readings as alerts kept them, read back fast: as much of one as a decision looks at.

They were judged by the contract when they came; an episode's are read whenever something of it may change, so here one
costs a few microseconds. `tests/unit/test_alerts_adapters.py` holds that both ways give a decision the same.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec


class ToldSignal(msgspec.Struct, frozen=True, gc=False):
    detector: str
    value: float | None
    reason: str
    details: dict[str, float | None] = {}


class ToldExpectation(msgspec.Struct, frozen=True, gc=False):
    quantiles: dict[str, float]


class ToldReading(msgspec.Struct, frozen=True, gc=False):
    """The fields of `schemas.events.Reading` that `rated_of` looks at."""

    rating_id: UUID
    session_id: UUID | None
    instrument: str
    rater: str
    occurred_at: datetime
    historical: bool
    recorded_at: datetime
    total: float | None
    index: float | None
    expected: ToldExpectation | None
    signals: tuple[ToldSignal, ...]


decode = msgspec.json.Decoder(ToldReading).decode
