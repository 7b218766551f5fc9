"""Alerts follow their episode to whoever has it now.

Two looks at one table each, and a write only where somebody changed: a join of the two is planned by guesses in a young
installation, and a wrong guess looked through a clinic's whole table for each of its alerts.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerts.adapters import statements as sql


async def follow(connection: AsyncConnection, tenants: Sequence[UUID], episodes: Collection[UUID]) -> None:
    """Hand the alerts of these episodes to the episodes' owners; an episode without one keeps its alerts' owner."""
    about = {"tenants": list(tenants), "episodes": list(episodes)}
    owners = {row.episode_id: row.owner_id for row in await connection.execute(sql.OWNERS, about)}
    alerts = await connection.execute(sql.ALERT_OWNERS, about)
    moved = [
        (row.tenant_id, row.alert_id, owners[row.episode_id])
        for row in alerts
        if owners.get(row.episode_id) not in (None, row.owner_id)
    ]
    if moved:
        named, ids, to = zip(*sorted(moved), strict=True)
        await connection.execute(sql.REOWN, {"tenants": list(named), "alerts": list(ids), "owners": list(to)})
