"""`attune policy`: what a policy says in words, what another would change, and which one a tenant has."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from services.alerts.adapters import policies as stored
from services.alerts.domain.policy import DEFAULT, POLICIES, Policy
from services.cli import own_policies, shadows
from services.cli.bars import bar
from services.cli.invocation import Invocation, invocation
from services.cli.named import policy_of
from services.lab.backtest.findings import findings
from services.lab.backtest.run import Request, backtest
from services.lab.backtest.tally import Example
from services.lab.policies import difference, told
from services.platform.errors import ConfigurationError

SHOW_EPILOG = """Examples:

    attune policy show fic-default-2

    attune policy show fic-default-2 --json > ours.json

    attune policy show --tenant north-clinic"""
DIFF_EPILOG = """Examples:

    attune policy diff fic-default-1 fic-default-2

    attune policy diff fic-default-2 ours.json --events year.ndjson

    attune policy diff fic-default-2 ours.json --events year.ndjson --json | jq .meant.overlap"""
EXAMPLES = 3
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


def build() -> typer.Typer:
    """The commands about policies."""
    app = typer.Typer(name="policy", help="What policies say, and which one a tenant has.", no_args_is_help=True)
    app.command("list")(list_)
    app.command("show", epilog=SHOW_EPILOG)(show)
    app.command("diff", epilog=DIFF_EPILOG)(diff)
    app.command("set", epilog=own_policies.SET_EPILOG)(own_policies.set_)
    app.command("clear")(own_policies.clear)
    app.add_typer(shadows.build(), name="shadow")
    return app


def list_(context: typer.Context) -> None:
    """Every policy that ships; the one that is live unless set otherwise first."""
    made = invocation(context)
    for name in POLICIES:
        made.out.print(f"{name}{' (default)' if name == DEFAULT.name else ''}", highlight=False)


def show(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="A policy by name, or a file.", metavar="NAME|FILE")] = None,
    tenant: Annotated[str | None, typer.Option(help="The policy of this tenant, and those before it.")] = None,
    as_json: AsJson = False,
) -> None:
    """One policy in words. Points are the SRS's, of 40; other scales go by span."""
    made = invocation(context)
    if tenant is not None and name is not None:
        raise ConfigurationError("which one?", hint="a policy, or --tenant NAME")
    if tenant is not None:
        _show_tenant(made, tenant, as_json=as_json)
        return
    policy = policy_of(name or DEFAULT.name)
    if as_json:
        _print_json(made, json.loads(stored.written(policy)))
    else:
        _say(made, told(policy))


def _show_tenant(made: Invocation, tenant: str, *, as_json: bool) -> None:
    changes = own_policies.history(made, tenant)
    if as_json:
        listed = [{**each, "definition": json.loads(each["definition"] or "null")} for each in changes]
        _print_json(made, {"tenant": tenant, "changes": listed})
        return
    live = next((each for each in changes if each["in_force"]), None)
    if live is None or live["definition"] is None:
        _say(made, [f"{tenant} has no policy of its own in force: the installation's (ATTUNE_ALERTS_POLICY) decides"])
    else:
        _say(made, [f"{tenant} decides by {live['policy']}:", *told(stored.read(live["definition"]))])
    if changes and not changes[-1]["in_force"]:
        _say(made, ["what was asked for last is not in force yet: alerts takes it up within seconds of running"])
    for each in changes:
        what = each["policy"] or "the installation's policy"
        _say(made, [f"change {each['version']}, {each['set_at']:%Y-%m-%d %H:%M}, {each['set_by']}: {what}"])


def diff(  # noqa: PLR0917 - typer passes options by name
    context: typer.Context,
    before: Annotated[str, typer.Argument(help="A policy by name, or a file.", metavar="BEFORE")],
    after: Annotated[str, typer.Argument(help="Another.", metavar="AFTER")],
    events: Annotated[Path | None, typer.Option(help="Recorded events: what the change would have meant.")] = None,
    cores: Annotated[int, typer.Option(min=1, help="Processes.")] = os.cpu_count() or 1,
    as_json: AsJson = False,
) -> None:
    """What changed from one policy to another and, with events, what that would have meant."""
    made = invocation(context)
    old, new = policy_of(before), policy_of(after)
    if old.name == new.name and old != new:
        raise ConfigurationError(f"both are called {old.name}", hint="give the changed one a name of its own")
    words = difference(old, new)
    found, examples = _meant(made, events, (old, new), cores) if events is not None else (None, [])
    if as_json:
        shown = [each._asdict() for each in examples]
        _print_json(made, {"words": words, "meant": found, "examples": shown})
        return
    _say(made, words or ["nothing: they say the same"])
    if found is not None:
        _say(made, [*_in_words(found, old.name, new.name), *map(_example, examples)])


def _meant(
    made: Invocation, events: Path, policies: tuple[Policy, Policy], cores: int
) -> tuple[dict[str, Any], Sequence[Example]]:
    asked = Request(events, policies, {}, cores=cores)
    size = events.stat().st_size if events.is_file() else 0
    with bar(made.say, "reading, then living through it again", 2 * size, unit="bytes") as progress:
        tally = backtest(asked, progress.by)
    differing = [each for each in tally.examples if not each.agreed]
    return findings(tally, asked.names, 1.0), differing[:EXAMPLES]


def _in_words(found: dict[str, Any], before: str, after: str) -> Iterable[str]:
    old, new = found["policies"][before], found["policies"][after]
    yield (
        f"over {found['record']['alliance_sessions']:,} sessions: {old['alerts_from_ratings']:,} alerts from "
        f"ratings before, {new['alerts_from_ratings']:,} after"
    )
    yield (
        f"a clinician and week: {old['alerts_per_clinician_week']:.2f} before, "
        f"{new['alerts_per_clinician_week']:.2f} after"
    )
    for both in found["overlap"]:
        yield (
            f"sessions in which a rule held: {both['both']:,} under both, {both['only_that']:,} only before, "
            f"{both['only_this']:,} only after"
        )


def _example(course: Example) -> str:
    """A course on which they differ; of nobody by name."""
    totals = ", ".join("-" if each is None else f"{each:g}" for each in course.totals)
    before, after = (", ".join(map(str, each)) or "nowhere" for each in course.spoke)
    return f"for example {course.instrument} {totals}: a rule held in session {before} before, {after} after"


def _print_json(made: Invocation, data: object) -> None:
    made.out.print(json.dumps(data, indent=1, default=str), markup=False, highlight=False)


def _say(made: Invocation, lines: Iterable[str]) -> None:
    for line in lines:
        made.out.print(line, highlight=False, markup=False)
