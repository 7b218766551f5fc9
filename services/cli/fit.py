"""`attune fit`: a clinic's own engine parameters, from its own ratings; published, they are for episodes to come."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from schemas.instruments import Instrument, UnknownInstrument, catalogue, lookup
from services.cli import fit_card, fit_dropout, fit_published
from services.cli.bars import bar
from services.cli.invocation import Invocation, invocation
from services.cli.recorded import recorded
from services.lab import offtrack_fit
from services.lab.fit import ENOUGH_CLIENTS, Fitted, TooFewClients
from services.lab.fit import fit as fit_one
from services.lab.fit_source import Ratings, ratings
from services.lab.fitted_file import FittedFile, write
from services.platform.errors import ConfigurationError, Refused

EPILOG: Final = """Examples:

    attune fit --events caseload.ndjson --out fitted.json

    attune fit --tenant north-clinic --instrument srs@3 --out fitted.json

    attune fit publish fitted.json --tenant north-clinic

    attune fit dropout --tenant north-clinic --out foretelling.json

What is fitted, from how many clients, and what the model card says: docs/clinical/fit.md."""


def build() -> typer.Typer:
    """The group of commands; without a name it fits."""
    app = typer.Typer(epilog=EPILOG, invoke_without_command=True, no_args_is_help=True)
    app.callback()(fit)
    app.command("dropout", epilog=fit_dropout.EPILOG)(fit_dropout.run)
    app.command("publish")(fit_published.publish)
    app.command("list")(fit_published.list_)
    app.command("show")(fit_published.show)
    return app


def fit(  # noqa: PLR0917 - typer passes options by name
    context: typer.Context,
    events: Annotated[Path | None, typer.Option(help="A file of events, one JSON object a line.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Instead of --events: what this tenant has posted.")] = None,
    instrument: Annotated[list[str] | None, typer.Option(help="Only this one; may be repeated.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the simulations: the same seed, the same result.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Where the parameters go, as JSON.")] = None,
) -> None:
    """Fit the engine's parameters to a clinic's own ratings, of 200 clients or more, and show the model card.

    Of outcome measures, the expected response, from 300 closed episodes or more.
    """
    if context.invoked_subcommand is not None:
        return
    made = invocation(context)
    if out is None:
        raise ConfigurationError("where to?", hint="--out FILE")
    _needs_scipy()
    wanted = [_known(key) for key in instrument or ()]
    with recorded(made, events, tenant) as file_of_events:
        found = _ratings(made, file_of_events)
    curves = _curves(made, found, wanted)
    fitted = _fitted(made, found, wanted, seed)
    if not (fitted or curves):
        raise Refused("there is nothing to fit", hint=f"{ENOUGH_CLIENTS} clients with two ratings or more are needed")
    file = FittedFile.of(fitted, curves)
    write(out, file)
    fit_card.show(made.out, file)
    made.out.print(f"written to {out}; next: attune fit publish {out} --tenant NAME", highlight=False)


def _needs_scipy() -> None:
    if importlib.util.find_spec("scipy") is None:
        raise ConfigurationError("fitting needs SciPy, which is not installed", hint="pip install attune[lab]")


def _known(key: str) -> Instrument:
    found = lookup(key)
    if isinstance(found, UnknownInstrument):
        raise ConfigurationError(f"no instrument {key}", hint=f"expected {found.expected}")
    return found


def _ratings(made: Invocation, events: Path) -> Ratings:
    size = events.stat().st_size if events.is_file() else 0
    with bar(made.say, "reading", 2 * size, unit="bytes") as progress:
        found = ratings(events, progress.by)
    if found.first_fault is not None:
        line, pointer, expected = found.first_fault
        where = f"line {line}{f' {pointer}' if pointer else ''}"
        made.say.print(f"{found.refused:,} lines left out, the first: {where}: {expected}", markup=False)
    return found


def _fitted(made: Invocation, found: Ratings, wanted: Sequence[Instrument], seed: int) -> list[Fitted]:
    """Of each instrument that was asked for, or of each alliance measure there is enough of."""
    asked = wanted or [each for each in catalogue() if each.family == "alliance" and each.key in found.series]
    fitted: list[Fitted] = []
    with bar(made.say, "fitting", len(asked), unit="measures") as progress:
        for each in asked:
            try:
                fitted.append(fit_one(each, found.series[each.key], seed=seed))
            except TooFewClients as error:
                made.say.print(f"{error}: the shipped parameters stay", markup=False, highlight=False)
            progress.by(1)
    return fitted


def _curves(made: Invocation, found: Ratings, wanted: Sequence[Instrument]) -> dict[str, offtrack_fit.Fitted]:
    """The expected response of each outcome measure, from closed episodes: of those asked for, or of all there are."""
    curves: dict[str, offtrack_fit.Fitted] = {}
    for each in wanted or catalogue():
        if each.family == "outcome" and each.key in found.closed:
            try:
                curves[each.key] = offtrack_fit.fit(each, found.closed[each.key])
            except offtrack_fit.TooFewEpisodes as error:
                made.say.print(f"{error}", markup=False, highlight=False)
    return curves
