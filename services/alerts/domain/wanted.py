"""An alert as it should be, and how it is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID, uuid5

from services.alerts.domain.lifecycle import State
from services.alerts.domain.policy import Severity

ALERTS: Final = UUID("6f6f7f5e-6c52-5f4b-9a58-0d6a3c1c9a11")
Evidence = Mapping[str, float | str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """An alert as it should be."""

    alert_id: UUID
    kind: str
    severity: Severity
    state: State
    rule: str
    reason: str
    occurred_at: datetime
    historical: bool
    rating_id: UUID | None = None
    session: str | None = None
    evidence: Evidence = field(default_factory=dict)
    why: str = ""
    """Why it cleared, or became red."""


def alert_id(episode: UUID, kind: str, trigger: str, rule: str) -> UUID:
    """The same alert has the same id, whoever works it out and when."""
    return uuid5(ALERTS, f"{episode}|{kind}|{trigger}|{rule}")
