"""`attune`: the commands, and what happens when one fails: one line that says what to do next, exit code 2."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from services.cli.commands import Lazily
from services.cli.invocation import Invocation
from services.platform.errors import AttuneError

FAILED: Final = 2
INTERRUPTED: Final = 130
HELP: Final = """Attune: session ratings in, explained early warnings about the working alliance out.

`attune demo` shows all of it on this machine. `attune COMMAND --help` has examples."""


def build() -> typer.Typer:
    """The whole command line."""
    app = typer.Typer(
        name="attune",
        cls=Lazily,
        help=HELP,
        no_args_is_help=True,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
    )
    app.callback()(_options)
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
    if isinstance(error, AttuneError):
        return _say(made, str(error), error.hint)
    from pydantic import ValidationError  # noqa: PLC0415 - only a failure needs them, and they take long to load
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415

    match error:
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
    cause = getattr(error, "orig", None) or error
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
