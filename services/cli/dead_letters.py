"""`attune dead-letters`: what could not be processed, and what to do about it."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

import typer

from services.cli import accounts, paper
from services.cli.invocation import OPERATOR, Invocation, finish, invocation
from services.ingest import dead_letters as letters
from services.platform.clock import SystemClock
from services.platform.db import transaction
from services.platform.errors import ConfigurationError

MOST = 1_000
"""How many are listed."""
_HIDDEN = ("key", "value", "headers")
EPILOG = """Examples:

    attune dead-letters list

    attune dead-letters show 5f0c1a2e-7b1d-4c33-9a4e-000000000002

    attune dead-letters retry --all --code unprocessable

    attune dead-letters drop 5f0c1a2e-7b1d-4c33-9a4e-000000000002 --why "sent by mistake"

See docs/runbooks/dead-letters.md."""
Ids = Annotated[list[UUID] | None, typer.Argument(help="As `list` shows them.")]


def build() -> typer.Typer:
    """The group of commands."""
    app = typer.Typer(
        help="Look at what could not be processed; retry or drop it.", epilog=EPILOG, no_args_is_help=True
    )
    app.command("list")(list_)
    app.command("show")(show)
    app.command("retry")(retry)
    app.command("drop")(drop)
    return app


def list_(
    context: typer.Context,
    state: Annotated[Literal["open", "retried", "dropped", "all"], typer.Option(help="Which.")] = "open",
    code: Annotated[str | None, typer.Option(help="Of this cause only.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Of this tenant only.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """The letters, oldest first, and how many of each cause."""
    made = invocation(context)
    found = finish(_list(made, state=state, code=code, tenant=tenant))
    if as_json:
        made.out.print_json(data=[told(one) for one in found], default=str)
        return
    table = paper.table("id", "age", "topic", "cause", "reason", "tries", "state")
    now = SystemClock().now()
    for one in found:
        columns = (one["topic"], one["code"], one["reason"], str(one["attempt"]), one["state"])
        table.add_row(str(one["dead_letter_id"]), age(now - one["seen_at"]), *columns)
    made.out.print(table if found else "no dead letters")
    counts = Counter(one["code"] for one in found)
    made.say.print(", ".join(f"{count} {name}" for name, count in counts.most_common()))


async def _list(made: Invocation, *, state: str, code: str | None, tenant: str | None) -> list[dict[str, Any]]:
    async with accounts.database(made.settings(OPERATOR)) as engine:
        whose = await accounts.find_tenant(engine, tenant) if tenant else None
        async with transaction(engine) as connection:
            return await letters.letters(connection, state=state, code=code, tenant=whose, most=MOST)


def told(one: dict[str, Any], *, payload: bool = False) -> dict[str, Any]:
    """A letter without its contents, or with them."""
    about = {name: value for name, value in one.items() if name not in _HIDDEN}
    if payload:
        about["key"] = one["key"].decode("utf-8", "backslashreplace")
        about["value"] = (one["value"] or b"").decode("utf-8", "backslashreplace")
    return about


def age(since: timedelta) -> str:
    """For a person.

    >>> age(timedelta(seconds=40)), age(timedelta(minutes=90)), age(timedelta(days=3, hours=2))
    ('40 s', '90 min', '74 h')
    """
    seconds = round(since.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7_200 else f"{seconds // 3_600} h"


def show(
    context: typer.Context,
    letter: Annotated[UUID, typer.Argument(help="As `list` shows it.")],
    value: Annotated[
        bool, typer.Option("--value", help="Its key and contents too: a client's answers, under a surrogate.")
    ] = False,
) -> None:
    """One letter: where it lay, why, what was decided, what became of its fact."""
    made = invocation(context)
    made.out.print_json(data=told(finish(_show(made, letter)), payload=value), default=str)


async def _show(made: Invocation, letter: UUID) -> dict[str, Any]:
    async with accounts.database(made.settings(OPERATOR)) as engine:
        return await _found(engine, letter)


async def _found(engine: Any, letter: UUID) -> dict[str, Any]:  # noqa: ANN401 - an engine
    """The letter; its fact's outcome is its tenant's to tell."""
    async with transaction(engine) as connection:
        found = await letters.letter(connection, letter)
    if found["tenant_id"] is None:
        return found
    async with transaction(engine, [found["tenant_id"]]) as connection:
        return await letters.letter(connection, letter)


def retry(
    context: typer.Context,
    ids: Ids = None,
    everything: Annotated[bool, typer.Option("--all", help="Every open one, with --code of one cause.")] = False,
    code: Annotated[str | None, typer.Option(help="With --all: of this cause only.")] = None,
) -> None:
    """Send letters down their road again, as they came. What takes effect twice is known by its identity."""
    made = invocation(context)
    count = finish(_retry(made, _named(ids, everything=everything), code))
    made.out.print(f"{count} on their way again; those that fail again come back as new letters", highlight=False)


def _named(ids: list[UUID] | None, *, everything: bool) -> list[UUID] | None:
    if bool(ids) == everything:
        raise ConfigurationError("say which", hint="ids as `attune dead-letters list` shows them, or --all")
    return ids


async def _retry(made: Invocation, ids: list[UUID] | None, code: str | None) -> int:
    async with accounts.database(made.settings(OPERATOR)) as engine:
        if ids is None:
            async with transaction(engine) as connection:
                found = await letters.letters(connection, state="open", code=code, tenant=None, most=None)
            ids = [one["dead_letter_id"] for one in found]
        for one in ids:
            async with transaction(engine) as connection:
                await letters.retry(connection, one)
        return len(ids)


def drop(
    context: typer.Context,
    ids: Ids = None,
    why: Annotated[str | None, typer.Option(help="Kept with the decision.")] = None,
) -> None:
    """Let letters be. Where one holds a fact, that fact never counts from now on, and its episode is whole again."""
    made = invocation(context)
    masked = finish(_drop(made, _named(ids, everything=False) or [], why))
    made.out.print(f"{len(ids or [])} dropped; {masked} of them held a fact, which now never counts", highlight=False)


async def _drop(made: Invocation, ids: list[UUID], why: str | None) -> int:
    now = SystemClock().now()
    masked = 0
    async with accounts.database(made.settings(OPERATOR)) as engine:
        for one in ids:
            whose = (await _found(engine, one))["tenant_id"]
            async with transaction(engine, [whose] if whose else []) as connection:
                masked += await letters.drop(connection, one, why, now)
    return masked
