"""A candidate policy beside the live one: its signals are recorded and compared, never shown or delivered.

A rating is noted where either policy speaks of it, and again when it is read anew: then with what they say now, which
may be nothing any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerts.adapters import statements as sql
from services.alerts.adapters.contracts import rated_of
from services.alerts.adapters.decisions import ClinicNow
from services.alerts.adapters.mirror import Reading, ReadingWithdrawn
from services.alerts.domain.decide import set_off
from services.alerts.domain.policy import POLICIES, Policy

Event = Reading | ReadingWithdrawn
_QUIETED = ("tenants", "ratings", "policies", "engines", "facts")


async def note(
    connection: AsyncConnection,
    live: Mapping[UUID, Policy],
    clinics: Mapping[UUID, ClinicNow],
    readings: Iterable[Event],
) -> None:
    """Note what the live policy and each clinic's candidate make of these readings. In the caller's transaction."""
    found = ((tenant, POLICIES.get(each.shadow or "")) for tenant, each in clinics.items())
    trying = {tenant: candidate for tenant, candidate in found if candidate is not None}
    if not trying:
        return
    rows = [
        _row(live[each.tenant_id], trying[each.tenant_id], clinics[each.tenant_id].clients, each)
        for each in sorted(readings, key=lambda each: each.rating_id)
        if each.tenant_id in trying
    ]
    spoken = [row for row in rows if row["live"] or row["shadows"]]
    quiet = [{name: row[name] for name in _QUIETED} for row in rows if not (row["live"] or row["shadows"])]
    for statement, of in ((sql.UPSERT_SHADOWS, spoken), (sql.QUIET_SHADOWS, quiet)):
        if of:
            await connection.execute(statement, {name: [row[name] for row in of] for name in of[0]})


def _row(live: Policy, candidate: Policy, clients: int, reading: Event) -> dict[str, Any]:
    """One rating, by the names of the statement's columns; a withdrawn one sets off nothing."""
    rated = rated_of(reading) if isinstance(reading, Reading) else None
    return {
        "tenants": reading.tenant_id,
        "ratings": reading.rating_id,
        "policies": candidate.name,
        "episodes": reading.episode_id,
        "times": rated.at if rated else None,
        "live_policies": live.name,
        "live": set_off(live, rated, clients) if rated else None,
        "shadows": set_off(candidate, rated, clients) if rated else None,
        "engines": reading.revision.engine,
        "facts": reading.revision.facts,
    }
