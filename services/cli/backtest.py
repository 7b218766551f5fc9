"""`attune backtest`: any policy over recorded events, before anybody is woken by it."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from services.alerts.domain.policy import DEFAULT
from services.cli.bars import bar
from services.cli.invocation import Invocation, invocation
from services.cli.named import policy_of
from services.cli.recorded import recorded
from services.lab.backtest import labels as labels_file
from services.lab.backtest.doubts import doubts
from services.lab.backtest.findings import findings
from services.lab.backtest.page import write
from services.lab.backtest.run import Request, backtest
from services.lab.backtest.tally import Example
from services.lab.backtest.textbook import known
from services.lab.fitted_file import engine_of
from services.platform.errors import ConfigurationError
from services.scoring.domain.config import DEFAULT as ENGINE

EPILOG = """Examples:

    attune backtest --events year.ndjson

    attune backtest --events year.ndjson --policy fic-default-2 --policy openfit-compatible-1 --out page.html

    attune backtest --events year.ndjson --labels truth.ndjson --json | jq .labels.policies

    attune backtest --events year.ndjson --textbook cut-off-36 --textbook individuals-chart-8

    attune backtest --tenant north-clinic --policy fic-default-2 --policy high-sens-1

Events: one JSON object a line, as `attune post` takes them. Labels: `--labels-schema`, and docs/clinical/backtest.md.
Nothing leaves this machine, nobody is notified, no reference of anybody is printed."""
BUDGET = 1.0


def run(  # noqa: PLR0917 - typer passes options by name
    context: typer.Context,
    events: Annotated[Path | None, typer.Option(help="Recorded events, NDJSON.", show_default=False)] = None,
    tenant: Annotated[str | None, typer.Option(help="Instead of a file: all that is in this tenant's inbox.")] = None,
    labels: Annotated[Path | None, typer.Option(help="What really happened, where somebody knows: NDJSON.")] = None,
    fitted: Annotated[Path | None, typer.Option(help="A clinic's own parameters, from `attune fit`.")] = None,
    policy: Annotated[
        list[str] | None, typer.Option(help="A policy by name, or a file of one; again for another beside it.")
    ] = None,
    textbook: Annotated[
        list[str] | None, typer.Option(help="Beside them a textbook's or another product's rule, or `all`; repeatable.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    out: Annotated[Path | None, typer.Option(help="One HTML page that needs nothing else.")] = None,
    budget: Annotated[float, typer.Option(min=0, help="Alerts that a clinician has time for in a week.")] = BUDGET,
    cores: Annotated[int, typer.Option(min=1, help="Processes; the figures do not depend on it.")] = os.cpu_count()
    or 1,
    labels_schema: Annotated[bool, typer.Option(help="Print the JSON Schema of a line of --labels.")] = False,
) -> None:
    """Live through recorded events again, and say what each policy would have flagged."""
    made = invocation(context)
    if labels_schema:
        made.out.print_json(data=labels_file.schema())
        return
    with recorded(made, events, tenant) as file:
        engine = engine_of(fitted) if fitted else ENGINE
        asked = replace(
            _asked(file, labels, tuple(policy or (DEFAULT.name,)), cores), engine=engine, textbook=known(textbook or ())
        )
        found, examples = _found(made, asked, budget)
    if as_json:
        made.out.print(json.dumps(found, indent=1), markup=False, highlight=False)
    else:
        _tell(made.out, found)
    doubtful = list(doubts(found, len(asked.labels), fitted=fitted is not None))
    for line in doubtful:
        made.say.print(line, markup=False, highlight=False)
    if out is not None:
        write(out, found, examples, doubtful)


def _asked(events: Path, labels: Path | None, policies: tuple[str, ...], cores: int) -> Request:
    named = {each.name: each for each in map(policy_of, policies)}
    known = labels_file.read_labels(labels) if labels else {}
    return Request(events, tuple(named.values()), known, cores=cores)


def _found(made: Invocation, asked: Request, budget: float) -> tuple[dict[str, Any], list[Example]]:
    size = asked.events.stat().st_size if asked.events.is_file() else 0
    with bar(made.say, "reading, then living through it again", 2 * size, unit="bytes") as progress:
        tally = backtest(asked, progress.by)
    if not tally.events:
        first = f"; the first: line {tally.faults[0].line}: {tally.faults[0].expected}" if tally.faults else ""
        raise ConfigurationError(
            f"no events in {asked.events}{first}", hint="one JSON object a line: attune post --help"
        )
    return findings(tally, asked.names, budget), tally.examples


def _tell(out: Console, found: dict[str, Any]) -> None:
    record = found["record"]
    told = {
        "events": record["events"],
        "clients": record["clients"],
        "courses of care": record["courses"],
        "sessions with an alliance rating": record["alliance_sessions"],
        "clinician-weeks": record["clinician_weeks"],
    }
    out.print(", ".join(f"{count:,} {what}" for what, count in told.items()), highlight=False)
    out.print(_burden(found))
    for name, each in found["policies"].items():
        if set(each["by_rule"]) == {name}:
            continue  # a rule that is a policy of its own has said so above
        rules = ", ".join(f"{rule} {count:,}" for rule, count in each["by_rule"].items())
        out.print(f"{name}: {rules or 'nothing'}", highlight=False)
    for each in found["overlap"]:
        out.print(
            f"sessions in which a rule held: {each['both']:,} of both {each['policy']} and {each['beside']}, "
            f"{each['only_this']:,} of the first alone, {each['only_that']:,} of the second alone",
            highlight=False,
        )
    if "labels" in found:
        out.print(_judged(found["labels"]["policies"]))
        if found["labels"]["dropout"]:
            out.print(_foretold(found["labels"]["dropout"]))


def _burden(found: dict[str, Any]) -> Table:
    table = _table("alerts", "a clinician\nand week", "from\nratings", "per 100\nsessions", "red")
    for name, each in found["policies"].items():
        red = f"{each['by_severity'].get('red', 0):,}"
        weekly = f"{each['alerts_per_clinician_week']:.2f}{'' if each['within_budget'] else ' (over budget)'}"
        rated = f"{each['alerts_from_ratings']:,}"
        table.add_row(
            name, f"{each['alerts']:,}", weekly, rated, f"{each['alerts_from_ratings_per_100_sessions']:.2f}", red
        )
    return table


def _judged(policies: dict[str, Any]) -> Table:
    table = _table("caught", "false alarms\na clean session", "predictive\nvalue", "delay,\nsessions")
    for name, each in policies.items():
        figures = ("sensitivity", "false_alarms_per_clean_session", "predictive_value", "median_delay_sessions")
        table.add_row(name, *(_shown(each[figure]) for figure in figures))
    return table


def _foretold(seen: dict[str, Any]) -> Table:
    about = f"dropout foretold at {seen['sessions']:,} session ends, {seen['dropouts']:,} of them the last by dropout"
    table = Table("", "", "95 % by person", box=None, header_style="bold", title=about, title_justify="left")
    for name in ("auc", "pr-auc", "brier", "calibration slope"):
        each = seen[name]
        table.add_row(name, f"{each['estimate']:.3f}", f"{each['low']:.3f}-{each['high']:.3f}")
    return table


def _shown(figure: dict[str, float | None]) -> str:
    if figure["estimate"] is None:
        return "-"
    return f"{figure['estimate']:.3f}\n{figure['low']:.3f}-{figure['high']:.3f}"


def _table(*columns: str) -> Table:
    """A row a policy, whose name is never cut; the figures beside it, in 80 columns."""
    table = Table(Column("policy", no_wrap=True), box=None, header_style="bold", padding=(0, 2, 0, 0))
    for each in columns:
        table.add_column(each, justify="right", no_wrap=True)
    return table
