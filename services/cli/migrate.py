"""`attune migrate`: the database's revision."""

from __future__ import annotations

from typing import Annotated

import typer

from migrations import run
from services.cli.invocation import Invocation, finish, invocation
from services.platform import db
from services.platform.errors import ConfigurationError

EPILOG = """Examples:

    attune migrate status

    ATTUNE_DATABASE_URL=postgresql+asyncpg://attune_owner@db/attune attune migrate up"""


def build() -> typer.Typer:
    """The group of commands."""
    app = typer.Typer(help="Bring the database to a revision, or tell which it has.", epilog=EPILOG)
    app.callback(invoke_without_command=True)(_by_default)
    app.command("up")(up)
    app.command("down")(down)
    app.command("status")(status)
    return app


def _address(made: Invocation) -> str:
    """As the services have it: its password is a secret's file, where there is one."""
    return db.address(made.settings()).render_as_string(hide_password=False)


def _by_default(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        up(context)


def up(context: typer.Context, revision: Annotated[str, typer.Argument(help="Up to here.")] = "head") -> None:
    """Upgrade; on the newest revision this does nothing."""
    made = invocation(context)
    finish(run.upgrade(_address(made), revision))
    made.out.print(f"the database is at {revision}")


def down(
    context: typer.Context,
    revision: Annotated[str, typer.Argument(help="Down to here, such as 0001 or base.")],
    yes: Annotated[bool, typer.Option("--yes", help="Really: data of later revisions is lost.")] = False,
) -> None:
    """Downgrade; what later revisions hold is lost."""
    made = invocation(context)
    if not yes:
        raise ConfigurationError("a downgrade loses data", hint=f"attune migrate down {revision} --yes")
    finish(run.downgrade(_address(made), revision))
    made.out.print(f"the database is at {revision}")


def status(context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Tell the database's revision and the newest one."""
    made = invocation(context)
    at, newest = finish(run.current(_address(made)))
    if as_json:
        made.out.print_json(data={"at": at, "newest": newest})
    else:
        made.out.print(f"at {at or 'nothing'}, the newest is {newest}: {'up to date' if at == newest else 'behind'}")
