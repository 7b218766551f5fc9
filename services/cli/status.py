"""`attune status`: what runs, where, and how far everything is."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy.exc import DBAPIError

from services.cli import counts, paper
from services.cli.accounts import database
from services.cli.invocation import OPERATOR, Invocation, finish, invocation

ALERTS = "attune_alerts"
EPILOG = """Examples:

    attune status

    attune status --json | jq .counts.lags

Lags are events: `relay` are committed and not yet in Kafka, `scoring` are posted and not yet
concluded upon, `alerts` not yet decided upon."""


def status(context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Services with state and address, and counts from post to alert."""
    made = invocation(context)
    found = look(made)
    if as_json:
        made.out.print_json(data=found)
    else:
        show(made.out, found)


def look(made: Invocation) -> dict[str, Any]:
    """Everything there is to tell."""
    services = made.status().get("services", {})
    if not made.is_up():
        services = {name: {**service, "state": "stopped", "pid": None} for name, service in services.items()}
    remote = "ATTUNE_DATABASE_URL" in made.environment
    counted = finish(_count(made)) if remote or made.is_up() else None
    return {"home": str(made.home().root), "running": made.is_up(), "services": services, "counts": counted}


async def _count(made: Invocation) -> dict[str, Any] | None:
    try:
        async with database(made.settings(OPERATOR)) as engine:
            tenants = await counts.all_tenants(engine)
            counted = (await counts.facts(engine, tenants)).as_json()
        async with database(made.settings(ALERTS)) as engine:
            raised, decided = await counts.alerts(engine, tenants), await counts.decided(engine, tenants)
    except (DBAPIError, OSError):
        return None
    if decided is not None:
        counted["lags"]["alerts"] = max(0, counted["posted"] - decided)
    return {**counted, "alerts": None if raised is None else sum(one.count for one in raised)}


def show(console: Console, found: dict[str, Any]) -> None:
    """For a person."""
    if not found["services"]:
        console.print(f"nothing was ever started in {found['home']}; `attune up` starts it", highlight=False)
    else:
        console.print(_services(found["services"]))
    if found["counts"]:
        console.print(_counts(found["counts"]))


def _services(services: dict[str, Any]) -> Table:
    table = paper.table("service", "state", "address", "restarts", "log")
    for name, service in services.items():
        state = str(service.get("state", ""))
        colour = {"ready": "green", "stopped": "dim"}.get(state, "yellow")
        where = str(service.get("opens") or service.get("address") or "")
        table.add_row(
            name, f"[{colour}]{state}[/]", where, str(service.get("restarts", 0)), str(service.get("log", ""))
        )
    return table


def _counts(counted: dict[str, Any]) -> Table:
    table = paper.table("posted", "published", "scored", "alerts", "dead letters", "lag")
    lags = ", ".join(f"{name} {lag:,}" for name, lag in counted["lags"].items())
    alerts = counted["alerts"]
    table.add_row(
        *(f"{counted[name]:,}" for name in ("posted", "published", "scored")),
        "?" if alerts is None else f"{alerts:,}",
        f"{counted['dead_letters']:,}",
        lags,
    )
    return table
