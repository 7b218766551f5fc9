"""What a clinic has set that the door must know; remembered for half a minute."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.platform.clock import Clock
from services.platform.db import transaction
from services.platform.tenants import HISTORICAL_AFTER_DAYS

_FOR = timedelta(seconds=30)
_SETTINGS = text("select settings from access.tenant where tenant_id = :tenant")


@dataclass(frozen=True, slots=True)
class Clinic:
    """`historical_after`: older facts are history, and never make a delivery."""

    historical_after: timedelta


class Clinics:
    """Looks settings up, once per tenant and half minute."""

    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._known: dict[UUID, tuple[datetime, Clinic]] = {}

    async def of(self, tenant: UUID) -> Clinic:
        now = self._clock.now()
        until, known = self._known.get(tenant, (now, None))
        if known is not None and now < until:
            return known
        async with transaction(self._engine, [tenant]) as connection:
            settings = (await connection.execute(_SETTINGS, {"tenant": tenant})).scalar_one_or_none() or {}
        days = float(settings.get("historical_after_days", HISTORICAL_AFTER_DAYS))
        found = Clinic(timedelta(days=days))
        self._known[tenant] = (now + _FOR, found)
        return found
