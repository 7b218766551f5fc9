"""`attune policy`: what a policy says in words, and what another would change."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from services.alerts.domain.policy import DEFAULT, POLICIES, Policy
from services.cli import shadows
from services.cli.bars import bar
from services.cli.invocation import Invocation, invocation
from services.lab.backtest.findings import findings
from services.lab.backtest.run import Request, backtest
from services.lab.policies import difference, told
from services.platform.errors import ConfigurationError

DIFF_EPILOG = """Examples:

    attune policy diff fic-default-1 fic-default-2

    attune policy diff fic-default-1 fic-default-2 --events year.ndjson"""


def build() -> typer.Typer:
    """The commands about policies."""
    app = typer.Typer(name="policy", help="What policies say, in words.", no_args_is_help=True)
    app.command("list")(list_)
    app.command("show")(show)
    app.command("diff", epilog=DIFF_EPILOG)(diff)
    app.add_typer(shadows.build(), name="shadow")
    return app


def list_(context: typer.Context) -> None:
    """Every policy there is; the one that is live unless set otherwise first."""
    made = invocation(context)
    for name in POLICIES:
        made.out.print(f"{name}{' (default)' if name == DEFAULT.name else ''}", highlight=False)


def show(context: typer.Context, name: Annotated[str, typer.Argument(help="A policy.")] = DEFAULT.name) -> None:
    """One policy in words. Points are the SRS's, of 40; other scales go by span."""
    made = invocation(context)
    _say(made, told(_policy(name)))


def diff(
    context: typer.Context,
    before: Annotated[str, typer.Argument(help="A policy.")],
    after: Annotated[str, typer.Argument(help="Another.")],
    events: Annotated[Path | None, typer.Option(help="Recorded events: what the change would have meant.")] = None,
    cores: Annotated[int, typer.Option(min=1, help="Processes.")] = os.cpu_count() or 1,
) -> None:
    """What changed from one policy to another and, with events, what that would have meant."""
    made = invocation(context)
    _say(made, list(difference(_policy(before), _policy(after))) or ["nothing: they say the same"])
    if events is not None:
        _meant(made, Request(events, (before, after), {}, cores=cores))


def _meant(made: Invocation, asked: Request) -> None:
    size = asked.events.stat().st_size if asked.events.is_file() else 0
    with bar(made.say, "reading, then living through it again", 2 * size, unit="bytes") as progress:
        found = findings(backtest(asked, progress.by), asked.policies, 1.0)
    old, new = (found["policies"][name] for name in asked.policies)
    both = found["overlap"][0]
    lines = [
        (
            f"over {found['record']['alliance_sessions']:,} sessions: {old['alerts_from_ratings']:,} alerts from "
            f"ratings before, {new['alerts_from_ratings']:,} after"
        ),
        (
            f"a clinician and week: {old['alerts_per_clinician_week']:.2f} before, "
            f"{new['alerts_per_clinician_week']:.2f} after"
        ),
        (
            f"sessions in which a rule held: {both['both']:,} under both, {both['only_that']:,} only before, "
            f"{both['only_this']:,} only after"
        ),
    ]
    _say(made, lines)


def _policy(name: str) -> Policy:
    if name not in POLICIES:
        raise ConfigurationError(f"no policy named {name}", hint=f"one of {', '.join(POLICIES)}")
    return POLICIES[name]


def _say(made: Invocation, lines: Iterable[str]) -> None:
    for line in lines:
        made.out.print(line, highlight=False, markup=False)
