"""`attune`: the commands, and what happens when one fails: one line that says what to do next, exit code 2."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError

from services.cli import (
    backtest,
    dead_letters,
    demo,
    fit,
    keys,
    migrate,
    policies,
    post,
    replay,
    setup,
    status,
    tenants,
    topics,
    up,
    verify,
)
from services.cli.invocation import Invocation
from services.platform.errors import AttuneError

FAILED: Final = 2
INTERRUPTED: Final = 130
HELP: Final = """Attune: session ratings in, explained early warnings about the working alliance out.

`attune demo` shows all of it on this machine. `attune COMMAND --help` has examples."""


def build() -> typer.Typer:
    """The whole command line."""
    app = typer.Typer(
        name="attune", help=HELP, no_args_is_help=True, rich_markup_mode="markdown", pretty_exceptions_enable=False
    )
    app.callback()(_options)
    commands: tuple[tuple[str, Callable[..., None], str, str], ...] = (
        ("setup", setup.setup, setup.EPILOG, "This machine"),
        ("up", up.up, up.EPILOG, "This machine"),
        ("demo", demo.demo, demo.EPILOG, "This machine"),
        ("status", status.status, status.EPILOG, "This machine"),
        ("post", post.post, post.EPILOG, "A clinic's data"),
        ("backtest", backtest.run, backtest.EPILOG, "The engine"),
        ("replay", replay.replay, replay.EPILOG, "An installation"),
        ("verify", verify.verify, verify.EPILOG, "An installation"),
    )
    for name, command, epilog, panel in commands:
        app.command(name, epilog=epilog, rich_help_panel=panel)(command)
    app.add_typer(tenants.build(), name="tenants", rich_help_panel="A clinic's data")
    app.add_typer(keys.build(), name="keys", rich_help_panel="A clinic's data")
    app.add_typer(fit.build(), name="fit", rich_help_panel="The engine")
    app.add_typer(policies.build(), name="policy", rich_help_panel="The engine")
    app.add_typer(migrate.build(), name="migrate", rich_help_panel="An installation")
    app.add_typer(dead_letters.build(), name="dead-letters", rich_help_panel="An installation")
    app.add_typer(topics.build(), name="topics", rich_help_panel="An installation")
    return app


def _options(
    context: typer.Context,
    debug: Annotated[bool, typer.Option(help="On a fault of ours, show where it came from.")] = False,
) -> None:
    context.find_root().obj.debug = debug


def run(arguments: Sequence[str], made: Invocation) -> int:
    """Run one command; its exit code."""
    try:
        build()(args=list(arguments), prog_name="attune", obj=made)
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last boundary: a person sees one line, a file has the rest
        return _failed(made, error)
    return 0


def _failed(made: Invocation, error: Exception) -> int:
    match error:
        case AttuneError():
            return _say(made, str(error), error.hint)
        case ValidationError():
            places = [".".join(str(part) for part in fault["loc"]).upper() for fault in error.errors()]
            named = ", ".join(f"ATTUNE_{place}" for place in places)
            return _say(made, f"bad settings: {named}", "what each may be: docs/integrate/cli.md")
        case DBAPIError() | ConnectionError() | TimeoutError():
            return _say(made, f"PostgreSQL did not do it: {_reason(error)}", "`attune status`; `attune migrate status`")
    if made.debug:
        raise error
    return _say(made, f"a fault of ours: {type(error).__name__}", f"details are in {_write_down(made, error)}")


def _reason(error: BaseException) -> str:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    return type(cause.__cause__ or cause).__name__


def _say(made: Invocation, message: str, hint: str) -> int:
    made.say.print(f"{message}{f' ({hint})' if hint else ''}", markup=False, highlight=False, soft_wrap=True)
    return FAILED


def _write_down(made: Invocation, error: Exception) -> Path:
    """Frames and the type alone: an exception's text may hold what a clinic posted."""
    logs = made.home().logs
    logs.mkdir(parents=True, exist_ok=True)
    path = logs / "cli.log"
    frames = "".join(traceback.format_tb(error.__traceback__))
    path.write_text(f"{frames}{type(error).__module__}.{type(error).__name__}\n", encoding="utf-8")
    return path
