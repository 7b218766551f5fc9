"""`python -m services.lab.studies`: what dropout and off-track are worth, on data that has the answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import Progress

from services.lab import btheb as trial
from services.lab import dropout_bound, dropout_study, g_icbt
from services.lab.clinics import WITH_A_BOUND
from services.lab.dropout_figures import by_day, dropout_figure, off_track_figure
from services.lab.figures import DrawingLibraryMissingError
from services.platform.errors import AttuneError

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Dropout and off-track, tried where answers are known."
)
_NOTES: Final = Console(stderr=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of markdown.")]


@app.command()
def dropout(
    clients: Annotated[int, typer.Option(min=200, help="Clients of each clinic.")] = 12_000,
    resamples: Annotated[int, typer.Option(min=20, help="Bootstrap resamples by person.")] = 100,
    figures: Annotated[Path | None, typer.Option(help="Draw the figure (SVG) into this folder.")] = None,
    json_: AsJson = False,  # noqa: FBT002 - typer declares flags so
) -> None:
    """Fitted on three invented clinics, tried on nine others, beside the hazard that made the dropouts."""
    with _said(), Progress(console=_NOTES, disable=not _NOTES.is_terminal) as progress:
        task = progress.add_task("clinics", total=1 + len(dropout_study.held_out()))
        found = dropout_study.study(clients, resamples, lambda: progress.advance(task))
        if figures is not None:
            dropout_figure(found, figures)
    typer.echo(json.dumps(dropout_study.as_json(found), indent=1) if json_ else dropout_study.markdown(found))


@app.command(name="dropout-bound")
def dropout_bound_(
    clients: Annotated[int, typer.Option(min=200, help="Clients of each clinic.")] = 12_000,
    resamples: Annotated[int, typer.Option(min=20, help="Bootstrap resamples by person.")] = 100,
) -> None:
    """The same model in other clinics, beside all that ratings could tell an observer who knows the generator."""
    with _said(), Progress(console=_NOTES, disable=not _NOTES.is_terminal) as progress:
        task = progress.add_task("clinics", total=1 + len(WITH_A_BOUND))
        model = dropout_study.learned(clients)
        progress.advance(task)
        size = dropout_bound.Size(dropout_study.HELD_OUT_SEED, clients, resamples)
        found = dropout_bound.bounded(model, size, lambda: progress.advance(task))
    typer.echo(dropout_bound.markdown(found, dropout_study.told))


@app.command(name="g-icbt")
def g_icbt_(
    data: Annotated[Path, typer.Option(help="interactions.csv of the G-ICBT study; we may not ship it.")],
) -> None:
    """Who stops logging in, told on day 21, beside the number of log-ins alone."""
    with _said():
        typer.echo(by_day(g_icbt.forecast(g_icbt.read(data))))


@app.command()
def btheb(
    data: Annotated[Path, typer.Option(help="BtheB.csv of Rdatasets.")],
) -> None:
    """Reliable change and off-track in the Beat the Blues trial."""
    with _said():
        typer.echo(trial.markdown(trial.tabulated(trial.read(data))))


@app.command(name="off-track")
def off_track_(figures: Annotated[Path, typer.Option(help="Draw the figure (SVG) into this folder.")]) -> None:
    """The shipped expectation from three beginnings, as a figure."""
    with _said():
        typer.echo(f"{off_track_figure(figures)}")


@contextmanager
def _said() -> Iterator[None]:
    try:
        yield
    except (OSError, AttuneError, DrawingLibraryMissingError) as refused:
        _NOTES.print(f"[red]{refused}[/red]", soft_wrap=True)
        raise typer.Exit(1) from refused


if __name__ == "__main__":
    app()
