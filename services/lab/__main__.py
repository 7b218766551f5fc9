"""`python -m services.lab`: what the laboratory makes, for people at a terminal."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from services.lab import bounded, calibration, further, report, worked, written
from services.lab.caseload import Clinic, caseload
from services.lab.clinics import CLINICS, WITH_A_BOUND
from services.lab.comparison import Comparison, compare
from services.lab.figures import DrawingLibraryMissingError, draw, drawing_library
from services.lab.rules import rules
from services.lab.tried import HELD_OUT, Told, tried

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="The laboratory: rules tried on simulated caseloads whose ruptures are known. Never clinical evidence.",
)
_NOTES: Final = Console(stderr=True)


@app.callback()
def _laboratory() -> None:
    """One command a product."""


@app.command()
def clinics() -> None:
    """The invented clinics that `--clinic` takes."""
    typer.echo("\n".join(CLINICS))


@app.command()
def table(  # noqa: PLR0913, PLR0917 - a command's parameters are its options
    clients: Annotated[int, typer.Option(min=50, help="Clients for each seed.")] = 2_000,
    seeds: Annotated[str, typer.Option(help="Seeds, as 9001-9020 or 1,2,3; the default ones are held out.")] = "",
    clinic: Annotated[str, typer.Option(help="An invented clinic (see the command `clinics`).")] = "typical",
    resamples: Annotated[int, typer.Option(min=20, help="Bootstrap resamples by client.")] = 1_000,
    cores: Annotated[int, typer.Option(min=1, help="Processes; the numbers do not depend on it.")] = os.cpu_count()
    or 1,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON instead of markdown.")] = False,  # noqa: FBT002 - typer declares flags so
    write: Annotated[Path | None, typer.Option(help="Put the table into this page, between its marks.")] = None,
    figures: Annotated[Path | None, typer.Option(help="Draw the figures (SVG) into this folder.")] = None,
) -> None:
    """Every rule beside the default at equal false alarms: the one table, with bootstrap intervals."""
    with _said():
        _prepared("table", write, figures)
    found = _compared(clinic, clients, _seeds(seeds), resamples, cores)
    if figures is not None:
        draw(found, figures)
    if write is not None:
        report.write_into(write, "table", report.markdown(found))
    typer.echo(json.dumps(report.as_json(found), indent=1) if json_ else report.markdown(found))


@app.command(name="further")
def further_(
    clients: Annotated[int, typer.Option(min=50, help="Clients for each trial.")] = 4_000,
    learned_from: Annotated[int, typer.Option("--fit", help="Clients that `fit` learns from; 0 leaves it out.")] = 800,
    cores: Annotated[int, typer.Option(min=1, help="Processes; the numbers do not depend on it.")] = os.cpu_count()
    or 1,
    write: Annotated[Path | None, typer.Option(help="Put the tables into this page, between their marks.")] = None,
) -> None:
    """What the one table does not show: long declines, repairs, and other clinics with the shipped priors."""
    with _said():
        _prepared("further", write, None)
    with _bar("declines and repairs", sum(rule.dial is not None for rule in rules())) as told:
        alone = further.apart(clients, cores, told)
    with _bar("other clinics", len(CLINICS)) as told:
        elsewhere = further.abroad(clients, learned_from, cores, told)
    made = further.markdown(alone, elsewhere)
    if write is not None:
        report.write_into(write, "further", made)
    typer.echo(made)


@app.command(name="bound")
def bound_(
    clients: Annotated[int, typer.Option(min=50, help="Clients for each of the held-out seeds.")] = 2_000,
    cores: Annotated[int, typer.Option(min=1, help="Processes; the numbers do not depend on it.")] = os.cpu_count()
    or 1,
    write: Annotated[Path | None, typer.Option(help="Put the table into this page, between its marks.")] = None,
) -> None:
    """How near the default comes to an oracle that knows the generator (some minutes)."""
    with _said():
        _prepared("bound", write, None)
    with _bar("asking the oracle", len(HELD_OUT)) as told:
        made = bounded.everything(clients, cores, told)
    if write is not None:
        report.write_into(write, "bound", made)
    typer.echo(made)


@app.command(name="bound-abroad")
def bound_abroad(
    clients: Annotated[
        int, typer.Option(min=50, help="Clients for each of two held-out seeds, of each clinic.")
    ] = 2_000,
    fitted_on: Annotated[int, typer.Option(min=250, help="Other clients that parameters are fitted to.")] = 4_000,
    cores: Annotated[int, typer.Option(min=1, help="Processes; the numbers do not depend on it.")] = os.cpu_count()
    or 1,
    write: Annotated[Path | None, typer.Option(help="Put the table into this page, between its marks.")] = None,
) -> None:
    """How near the default comes to the oracle in other clinics, after `fit` (some minutes)."""
    seeds = HELD_OUT[:2]
    with _said():
        _prepared("bound-abroad", write, None)
    with _bar("asking the oracle", len(seeds) * len(WITH_A_BOUND)) as told:
        found = bounded.abroad(clients, fitted_on, seeds, cores, told)
    made = bounded.abroad_markdown(found, clients * len(seeds))
    if write is not None:
        report.write_into(write, "bound-abroad", made)
    typer.echo(made)


@app.command(name="calibration")
def calibration_(
    fitted_on: Annotated[int, typer.Option(min=250, help="Clients that parameters are fitted to.")] = 1_500,
    tried_on: Annotated[int, typer.Option(min=250, help="Other clients that they are tried on.")] = 8_000,
    clinic: Annotated[list[str] | None, typer.Option(help="Only this invented clinic; may be repeated.")] = None,
    cores: Annotated[int, typer.Option(min=1, help="Processes; the numbers do not depend on it.")] = os.cpu_count()
    or 1,
) -> None:
    """Do clinics get the false alarms that `fit` promised? One row an invented clinic."""
    wanted = clinic or list(calibration.TRIED)
    if unknown := sorted(set(wanted) - calibration.TRIED.keys()):
        raise typer.BadParameter(f"{unknown[0]!r} is none of: {', '.join(calibration.TRIED)}", param_hint="--clinic")
    size = calibration.Size(fitted_on, tried_on)
    with _bar("fitting clinics", len(wanted)) as told:
        typer.echo(calibration.markdown(list(calibration.calibrated(wanted, size, cores, told))))


def _prepared(command: str, page: Path | None, figures: Path | None) -> None:
    """Find out before the work whether its results can be put where they are wanted."""
    if page is not None:
        report.parted(page, command)
    if figures is not None:
        drawing_library()


@contextmanager
def _said() -> Iterator[None]:
    try:
        yield
    except (OSError, report.NoPlaceForTheTableError, DrawingLibraryMissingError) as refused:
        _NOTES.print(f"[red]{refused}[/red]", soft_wrap=True)
        raise typer.Exit(1) from refused


@app.command(name="worked")
def worked_(
    figures: Annotated[Path, typer.Option(help="Draw the figures (SVG) into this folder.")] = Path("docs/figures"),
) -> None:
    """One made-up course as each detector sees it: the figures of docs/clinical."""
    with _said():
        typer.echo("\n".join(map(str, worked.draw(figures))))


@app.command(name="caseload")
def caseload_(
    events: Annotated[Path, typer.Option(help="Where the events go: NDJSON, as an EHR would post them.")],
    labels: Annotated[Path | None, typer.Option(help="Where the truth goes, for `attune backtest --labels`.")] = None,
    clients: Annotated[int, typer.Option(min=1, help="Clients of the clinic.")] = 600,
    seed: Annotated[int, typer.Option(help="The same seed gives the same year, bit for bit.")] = 7,
) -> None:
    """A year of an invented clinic, and what really happened in it, as files."""
    made = caseload(seed, datetime(2026, 1, 5, tzinfo=UTC), Clinic(clients=clients, clinicians=max(2, clients // 15)))
    written.write(made, events, labels)
    _NOTES.print(f"{len(made.posts):,} events of {clients:,} clients")


def _compared(clinic: str, clients: int, seeds: tuple[int, ...], resamples: int, cores: int) -> Comparison:
    if clinic not in CLINICS:
        raise typer.BadParameter(f"{clinic!r} is none of: {', '.join(CLINICS)}", param_hint="--clinic")
    with _bar(f"trying rules on {len(seeds) * clients:,} clients", len(seeds)) as told:
        found = tried(clinic, clients, seeds, cores, told)
    with _bar(f"{resamples:,} resamples of each rule", len(found.rules)) as told:
        return compare(found, resamples, cores, told)


def _seeds(given: str) -> tuple[int, ...]:
    """Of `1,2,7-9`; nothing given means those held out."""
    found: list[int] = []
    for part in filter(None, given.split(",")):
        first, _, last = part.partition("-")
        if not first.isdigit() or (last and not last.isdigit()):
            raise typer.BadParameter(
                f"{part!r} is neither a number nor a range such as 9001-9020", param_hint="--seeds"
            )
        if not (drawn := range(int(first), int(last or first) + 1)):
            raise typer.BadParameter(f"{part!r} runs backwards", param_hint="--seeds")
        found += drawn
    return tuple(found) or HELD_OUT


@contextmanager
def _bar(what: str, total: int) -> Iterator[Told]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    if not _NOTES.is_terminal:
        _NOTES.print(f"{what} ...")
    with Progress(*columns, console=_NOTES, disable=not _NOTES.is_terminal) as progress:
        task = progress.add_task(what, total=total)
        yield lambda: progress.advance(task)


if __name__ == "__main__":
    app()
