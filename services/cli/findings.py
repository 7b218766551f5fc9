"""What the demo found, for a person to read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.cli import paper
from services.cli.counts import AlertCount, Facts
from services.platform.db import transaction
from services.platform.vault import Vault

_URGENT = text("""
    select client_id, kind, severity, reason, occurred_at from alerts.alert
    where tenant_id = :tenant and state = 'open' and not historical
    order by case severity when 'urgent' then 0 when 'red' then 1 when 'amber' then 2 else 3 end,
             (kind = 'risk-item') desc, occurred_at desc
    limit :count
""")
_COLOURS = {"urgent": "bold red", "red": "red", "amber": "yellow"}
PURPOSE = "summary of the demo on this machine"


@dataclass(frozen=True, slots=True)
class Urgent:
    """One alert that waits for somebody; `client` is the clinic's own reference."""

    client: str
    kind: str
    severity: str
    reason: str
    day: str


async def most_urgent(engine: AsyncEngine, vault: Vault, tenant: UUID, count: int = 3) -> list[Urgent]:
    """The open alerts that a person should see first. Opening the references is audited, as everywhere."""
    async with transaction(engine, [tenant]) as connection:
        rows = (await connection.execute(_URGENT, {"tenant": tenant, "count": count})).all()
        people = [row.client_id for row in rows]
        names = await vault.open(connection, tenant, people, opened_by="attune demo", purpose=PURPOSE)
    return [
        Urgent(names.get(row.client_id, "?"), row.kind, row.severity, str(row.reason), f"{row.occurred_at:%Y-%m-%d}")
        for row in rows
    ]


def show(console: Console, facts: Facts, alerts: Sequence[AlertCount], urgent: Iterable[Urgent]) -> None:
    """Posted, scored and flagged; then who comes first, and why."""
    console.print(
        Panel(Group(_road(facts), "", _flagged(alerts), "", _first(urgent)), title="A year of a small clinic")
    )


def _road(facts: Facts) -> Table:
    table = paper.table("posted", "published", "scored", "dead letters")
    table.add_row(*(f"{count:,}" for count in (facts.posted, facts.published, facts.scored, facts.dead_letters)))
    return table


def _flagged(alerts: Sequence[AlertCount]) -> Table:
    severities = sorted({one.severity for one in alerts}, key=[*_COLOURS, "info"].index)
    table = paper.table("flagged", *severities)
    for kind in sorted({one.kind for one in alerts}):
        counts = {one.severity: one.count for one in alerts if one.kind == kind}
        table.add_row(kind, *(f"{counts.get(severity, 0):,}" for severity in severities))
    return table


def _first(urgent: Iterable[Urgent]) -> Table:
    table = paper.table("first", "client", "what", "why", "on")
    for number, one in enumerate(urgent, start=1):
        what = f"[{_COLOURS.get(one.severity, 'white')}]{one.severity}[/] {one.kind}"
        table.add_row(str(number), one.client, what, one.reason, one.day)
    return table
