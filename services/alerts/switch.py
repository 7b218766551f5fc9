"""Puts a clinic's own policy in force: in one transaction, with all of its episodes decided anew under it.

The clinic's clock row is locked first, as every batch of its readings does: a batch is decided under the old policy and
decided again here, or waits and is decided under the new one. Killed in between, nothing has happened.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.alerts.adapters import policies
from services.alerts.adapters import statements as sql
from services.alerts.adapters.batch import FALLBACK_CLIENTS, sizes
from services.alerts.adapters.decisions import ClinicNow, Decisions
from services.platform import logs
from services.platform.clock import Clock
from services.platform.db import is_transient, transaction

AT_A_TIME = 500
"""Episodes held in memory at once."""


@dataclass(frozen=True, slots=True)
class Switch:
    """Looks for clinics whose operator has asked for another policy."""

    engine: AsyncEngine
    decisions: Decisions
    clock: Clock

    async def once(self) -> int:
        """Put in force what was asked for; returns how many clinics have another policy now."""
        async with transaction(self.engine) as connection:
            tenants = (await connection.execute(sql.ASKED_ANEW)).scalars().all()
        return sum([await self._alone(tenant) for tenant in tenants])

    async def _alone(self, tenant: UUID) -> bool:
        """One clinic; where it cannot be done, its old policy stays in force, and no other clinic waits."""
        try:
            return await self._clinic(tenant)
        except Exception as error:
            if is_transient(error):
                raise
            logs.get("alerts.switch").error("a clinic's policy cannot be put in force", exc_info=error)
            return False

    async def _clinic(self, tenant: UUID) -> bool:
        async with transaction(self.engine, [tenant]) as connection:
            asked = {"tenant": tenant, "now": self.clock.now()}
            clock = (await connection.execute(sql.PUT_IN_FORCE, asked)).one_or_none()
            if clock is None:
                return False  # another process was first
            clinics = {tenant: await self._now(connection, clock)}
            episodes = (await connection.execute(sql.ALL_EPISODES, {"tenant": tenant})).scalars().all()
            for first in range(0, len(episodes), AT_A_TIME):
                await self.decisions.redecide(connection, clinics, episodes[first : first + AT_A_TIME])
        return True

    async def _now(self, connection: AsyncConnection, row: Row[Any]) -> ClinicNow:
        tenant = row.tenant_id
        clients = FALLBACK_CLIENTS if row.grown else (await sizes(connection, [tenant]))[tenant]
        own = await policies.in_force(connection, [row], self.decisions.policy)
        return ClinicNow(row.known_at or self.clock.now(), row.swept_at, clients, row.shadow, own.get(tenant))
