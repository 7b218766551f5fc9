"""Alerts follow their episode to whoever has it now.

What both tables say was looked at already, one table at a time: a join of the two is planned by guesses in a young
installation, and a wrong guess looked through a clinic's whole table for each of its alerts. So here is only a write,
and only where somebody changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerts.adapters import statements as sql


class Owned(NamedTuple):
    """An alert, and whose it is."""

    tenant_id: UUID
    alert_id: UUID
    episode_id: UUID
    owner_id: UUID | None


async def follow(connection: AsyncConnection, alerts: Iterable[Owned], owners: Mapping[UUID, UUID | None]) -> None:
    """Hand these alerts to the owners of their episodes; an episode without one keeps its alerts' owner."""
    moved = [
        (row.tenant_id, row.alert_id, owners[row.episode_id])
        for row in alerts
        if owners.get(row.episode_id) not in (None, row.owner_id)
    ]
    if moved:
        named, ids, to = zip(*sorted(moved), strict=True)
        await connection.execute(sql.REOWN, {"tenants": list(named), "alerts": list(ids), "owners": list(to)})
