"""What the pages know: values read from the database in one go, before anything is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from schemas.events import AlertKind, EpisodeSnapshot, Reading, Severity

AlertState = Literal["open", "acknowledged", "resolved", "withdrawn", "cleared"]
STANDING: tuple[AlertState, ...] = ("open", "acknowledged")
"""States in which an alert still waits for somebody."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who is looking. `clinician_id` is `None` for a supervisor, who sees every client of the clinic."""

    tenant_id: UUID
    clinician_id: UUID | None

    @property
    def actor(self) -> str:
        """How the audit names the viewer: a surrogate, never a name."""
        return f"clinician:{self.clinician_id}" if self.clinician_id else "supervisor"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an alert's life."""

    action: str
    at: datetime
    actor: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert as a person may need it."""

    alert_id: UUID
    client_id: UUID
    episode_id: UUID
    kind: AlertKind
    severity: Severity
    state: AlertState
    reason: str
    rating_id: UUID | None
    occurred_at: datetime
    opened_at: datetime
    historical: bool
    rule: str
    policy: str
    evidence: Mapping[str, object]
    steps: tuple[Step, ...] = ()

    @property
    def standing(self) -> bool:
        """Whether it waits for somebody: history never does."""
        return self.state in STANDING and not self.historical


@dataclass(frozen=True, slots=True)
class Case:
    """One episode as a page needs it, oldest first.

    The alerts are those of all the client's episodes the viewer may see, so that none hides behind one that ended.
    """

    snapshot: EpisodeSnapshot
    readings: tuple[Reading, ...]
    alerts: tuple[Alert, ...]
