"""`attune tenants`: who has data here."""

from __future__ import annotations

import json
from typing import Annotated, Any
from uuid import UUID

import typer

from services.cli import accounts, paper
from services.cli.invocation import OPERATOR, Invocation, finish, invocation
from services.platform import tenants as platform
from services.platform.errors import ConfigurationError

EPILOG = """Examples:

    attune tenants create north-clinic --display-name "North Clinic"

    attune tenants settings north-clinic --historical-after-days 30"""


def build() -> typer.Typer:
    """The group of commands."""
    app = typer.Typer(help="Create, list and set up tenants.", epilog=EPILOG, no_args_is_help=True)
    app.command("create")(create)
    app.command("list")(list_)
    app.command("settings")(settings)
    return app


def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Short: a-z, 0-9 and -.")],
    display_name: Annotated[str, typer.Option(help="As people read it.")] = "",
) -> None:
    """Create a tenant; its data is visible to nobody else."""
    made = invocation(context)
    tenant = finish(_create(made, name, display_name))
    made.out.print(f"{name} is {tenant}; next: attune keys create {name}", highlight=False)


async def _create(made: Invocation, name: str, display_name: str) -> UUID:
    async with accounts.database(made.settings(OPERATOR)) as engine, engine.begin() as connection:
        return await platform.create(connection, name, display_name)


def list_(context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Every tenant, by name."""
    made = invocation(context)
    found = finish(_list(made))
    if as_json:
        made.out.print_json(data=found, default=str)
        return
    table = paper.table("name", "display name", "id", "created", "settings")
    for one in found:
        created = f"{one['created_at']:%Y-%m-%d}"
        table.add_row(one["name"], one["display_name"], str(one["tenant_id"]), created, json.dumps(one["settings"]))
    made.out.print(table)


async def _list(made: Invocation) -> list[dict[str, Any]]:
    async with accounts.database(made.settings(OPERATOR)) as engine:
        return await accounts.tenants(engine)


def settings(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The tenant.")],
    historical_after_days: Annotated[
        int | None, typer.Option(min=1, max=3650, help="Older events are scored, and never notify anybody.")
    ] = None,
) -> None:
    """Change what a tenant may set."""
    made = invocation(context)
    if historical_after_days is None:
        raise ConfigurationError("nothing to set", hint="--historical-after-days DAYS")
    finish(_set(made, name, json.dumps({"historical_after_days": historical_after_days})))
    made.out.print(f"{name}: events older than {historical_after_days} days are historical")


async def _set(made: Invocation, name: str, change: str) -> None:
    async with accounts.database(made.settings(OPERATOR)) as engine:
        await accounts.change_settings(engine, await accounts.find_tenant(engine, name), change)
