"""A posted event that is sound in itself, and the bounds of when it may have happened."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from schemas.events import Clock
from schemas.posted import PostedEvent
from services.ingest.ids import named

if TYPE_CHECKING:
    from services.ingest.quick import Known

AHEAD = timedelta(days=1)
"""How far a clinic's clock may be ahead of ours."""
BOOKED_AHEAD = timedelta(days=730)
EARLIEST = datetime.fromisoformat("1990-01-01T00:00:00+00:00")


@dataclass(frozen=True, slots=True)
class Receiving:
    """What receipt adds: whose event it is and by which clock it was received."""

    tenant_id: UUID
    now: datetime
    clock: Clock
    historical_after: timedelta


@dataclass(frozen=True, slots=True)
class Draft:
    """Ready to be given surrogates and committed."""

    receiving: Receiving
    event: PostedEvent | Known
    fact_id: UUID
    record_id: UUID
    body_hash: bytes

    @property
    def historical(self) -> bool:
        return self.event.occurred_at < self.receiving.now - self.receiving.historical_after


def drafted(event: PostedEvent | Known, body: bytes, receiving: Receiving) -> Draft:
    """The draft of a sound event, given its canonical bytes."""
    record = f"{receiving.tenant_id}|{event.source}|{event.id}"
    fact_id = named(f"{record}|{event.version}")
    return Draft(receiving, event, fact_id, named(record), hashlib.sha256(body).digest())
