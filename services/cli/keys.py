"""`attune keys`: who may speak to the doors."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, cast

import typer

from services.cli import accounts, paper
from services.cli.invocation import OPERATOR, Invocation, finish, invocation
from services.platform.auth import SCOPES, Scope
from services.platform.clock import SystemClock
from services.platform.errors import ConfigurationError

DEFAULT: tuple[Scope, ...] = ("events:write", "receipts:read")
EPILOG = """Examples:

    attune keys create north-clinic > north.key

    attune keys create north-clinic --scope events:write --scope clock --expires-in-days 90

    attune keys rotate 3f7k2m9q > new.key

Only the key's text goes to standard output. It is shown once and kept nowhere."""


def build() -> typer.Typer:
    """The group of commands."""
    app = typer.Typer(help="Create, list, revoke and rotate API keys.", epilog=EPILOG, no_args_is_help=True)
    app.command("create")(create)
    app.command("list")(list_)
    app.command("revoke")(revoke)
    app.command("rotate")(rotate)
    return app


def create(
    context: typer.Context,
    tenant: Annotated[str, typer.Argument(help="The tenant's name.")],
    scope: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(SCOPES)}; may be repeated.")] = None,
    expires_in_days: Annotated[int | None, typer.Option(min=1, help="Without it the key lasts.")] = None,
) -> None:
    """Create a key; by default one that posts events and reads receipts."""
    made = invocation(context)
    expires_at = SystemClock().now() + timedelta(days=expires_in_days) if expires_in_days else None
    made.out.print(finish(_create(made, tenant, scopes(scope or DEFAULT), expires_at)), highlight=False, markup=False)


def scopes(given: list[str] | tuple[str, ...]) -> list[Scope]:
    """Known scopes.

    Raises:
        ConfigurationError: one is not.
    """
    for one in given:
        if one not in SCOPES:
            raise ConfigurationError(f"there is no scope {one}", hint=f"one of {', '.join(SCOPES)}")
    return [cast("Scope", one) for one in given]


async def _create(made: Invocation, tenant: str, granted: list[Scope], expires_at: datetime | None) -> str:
    async with accounts.database(made.settings(OPERATOR)) as engine:
        return await accounts.new_key(engine, await accounts.find_tenant(engine, tenant), granted, expires_at)


def list_(context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Every key, by prefix."""
    made = invocation(context)
    found = finish(_list(made))
    if as_json:
        made.out.print_json(data=found, default=str)
        return
    table = paper.table("prefix", "tenant", "scopes", "created", "state")
    now = SystemClock().now()
    for one in found:
        table.add_row(
            one["prefix"], one["tenant"], ", ".join(one["scopes"]), f"{one['created_at']:%Y-%m-%d}", state(one, now)
        )
    made.out.print(table)


def state(key: dict[str, Any], now: datetime) -> str:
    """What a key is good for now."""
    if key["revoked_at"]:
        return "revoked"
    expires: datetime | None = key["expires_at"]
    if expires is None:
        return "active"
    return "expired" if expires <= now else f"active until {expires:%Y-%m-%d %H:%M}"


async def _list(made: Invocation) -> list[dict[str, Any]]:
    async with accounts.database(made.settings(OPERATOR)) as engine:
        return await accounts.keys(engine)


def revoke(
    context: typer.Context, prefix: Annotated[str, typer.Argument(help="The eight characters after atk_.")]
) -> None:
    """End a key; within 30 seconds nobody takes it any more."""
    made = invocation(context)
    finish(_revoke(made, prefix))
    made.say.print(f"{prefix} is revoked")


async def _revoke(made: Invocation, prefix: str) -> None:
    now = SystemClock().now()
    async with accounts.database(made.settings(OPERATOR)) as engine:
        await accounts.retire(engine, prefix, at=now, now=now)


def rotate(
    context: typer.Context,
    prefix: Annotated[str, typer.Argument(help="The eight characters after atk_.")],
    overlap_hours: Annotated[int, typer.Option(min=0, help="The old key lasts as long as this.")] = 24,
) -> None:
    """Make another key with the same rights; the old one ends after an overlap."""
    made = invocation(context)
    made.out.print(finish(_rotate(made, prefix, overlap_hours)), highlight=False, markup=False)
    made.say.print(f"{prefix} ends in {overlap_hours} hours")


async def _rotate(made: Invocation, prefix: str, overlap_hours: int) -> str:
    now = SystemClock().now()
    async with accounts.database(made.settings(OPERATOR)) as engine:
        tenant, granted = await accounts.retire(engine, prefix, at=now + timedelta(hours=overlap_hours), now=now)
        return await accounts.new_key(engine, tenant, granted)
