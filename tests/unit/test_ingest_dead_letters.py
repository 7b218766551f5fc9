"""What dropping a dead letter says, and by whose clock."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from services.ingest.dead_letters import _Whose, dropping

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
THEN = NOW - timedelta(days=300)


def letter(clock: str) -> _Whose:
    """As much of a fact of a long time ago as dropping takes."""
    ids: dict[str, Any] = {name: str(uuid.uuid4()) for name in ("fact_id", "tenant_id", "client_id", "episode_id")}
    times = {"occurred_at": THEN.isoformat(), "recorded_at": THEN.isoformat()}
    return msgspec.json.decode(json.dumps({**ids, **times, "clock": clock}), type=_Whose)


def test_a_drop_happens_now_where_the_clinic_lives_now() -> None:
    """By the wall's clock, today."""
    fact = dropping(letter("wall"), NOW)
    assert (fact.clock, fact.recorded_at, fact.occurred_at) == ("wall", NOW, NOW)


def test_a_drop_never_moves_the_clock_of_a_clinic_whose_feed_is_the_clock() -> None:
    """It brings the dropped fact's own times: ours would make months of silence of an import's last week."""
    fact = dropping(letter("feed"), NOW)
    assert (fact.clock, fact.recorded_at, fact.occurred_at) == ("feed", THEN, THEN)


def test_dropping_twice_is_one_fact() -> None:
    """Its identity is the dropped fact's: whoever drops it again, later, drops it once."""
    whose = letter("wall")
    again = dropping(whose, NOW + timedelta(days=1))
    assert again.fact_id == dropping(whose, NOW).fact_id
    assert again.dropped_fact_id == whose.fact_id
