"""What policy would have said of the stories."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from schemas.events import AlertKind, Severity
from services.alerts.web.records import AlertState
from tests.browser.stories import AWAY, COLLEAGUES, DRIFT, RISK, RUPTURE, Story, named


@dataclass(frozen=True, slots=True)
class Flagged:
    """One alert on one story; `place` is the session that raised it."""

    story: Story
    place: int
    kind: AlertKind
    severity: Severity
    reason: str
    state: AlertState = "open"
    evidence: dict[str, object] = field(default_factory=dict)

    @property
    def alert_id(self) -> UUID:
        return named(f"{self.story.tenant}/alert/{self.story.reference}/{self.place}")

    @property
    def rating_id(self) -> UUID | None:
        """Silence has no rating."""
        return None if self.kind is AlertKind.DISENGAGING else self.story.rating_id(self.place)


RUPTURED = Flagged(
    RUPTURE,
    8,
    AlertKind.RUPTURE_POSSIBLE,
    "red",
    "30.6 is 7.7 below this client's usual 38.3; a rating this low had a chance of 0.4 %.",
    evidence={
        "rating": 30.6,
        "usual": 38.3,
        "chance of this or lower": 0.004,
        "threshold": 0.02,
        "would not have flagged": "33.4 or above",
    },
)
ANSWERED = Flagged(RISK, 6, AlertKind.RISK_ITEM, "urgent", "PHQ-9 item 9 was answered 2")
DRIFTED = Flagged(DRIFT, 8, AlertKind.SLOW_DECLINE, "amber", "The last ratings together lie below this client's usual")
SILENT = Flagged(
    AWAY, 11, AlertKind.DISENGAGING, "red", "34 days since the last session, nothing booked", state="acknowledged"
)
OTHERS = Flagged(COLLEAGUES, 3, AlertKind.RUPTURE_POSSIBLE, "amber", "29 is 7.9 below this client's usual 36.9")
ALL = (RUPTURED, ANSWERED, DRIFTED, SILENT, OTHERS)
