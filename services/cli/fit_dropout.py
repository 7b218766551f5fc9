"""`attune fit dropout`: a clinic's own hazard of dropout, with its card, and whether it may speak."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from services.cli.bars import bar
from services.cli.fit_published import published
from services.cli.invocation import Invocation, finish, invocation
from services.cli.recorded import recorded
from services.lab.backtest import labels as labels_file
from services.lab.dropout_events import Courses, courses
from services.lab.fitted_file import FittedFile, current, read, write
from services.lab.hazard_fit import FOLDS, PENALTIES, fit
from services.platform.errors import ConfigurationError, Refused
from services.scoring.domain.config import ENGINE_VERSION, EngineConfig
from services.scoring.domain.hazard import HazardModel, refusals

EPILOG: Final = """Examples:

    attune fit dropout --tenant north-clinic --out foretelling.json

    attune fit dropout --events year.ndjson --labels truth.ndjson --out foretelling.json

    attune fit publish foretelling.json --tenant north-clinic

Who dropped out is what the labels say, else the reason that an episode was closed with. The file holds the engine's
parameters too: of --fitted, else what is published for the tenant, else none but the shipped. What a model may use, and
what its card says: docs/clinical/dropout.md. Nothing leaves this machine; no reference of anybody is printed."""
_SHOWN: Final = ("auc", "pr-auc", "brier", "calibration slope", "calibration intercept")


def run(  # noqa: PLR0917 - typer passes options by name
    context: typer.Context,
    events: Annotated[Path | None, typer.Option(help="Recorded events, NDJSON.", show_default=False)] = None,
    tenant: Annotated[str | None, typer.Option(help="Instead of --events: what this tenant has posted.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Who dropped out, where somebody knows: NDJSON.")] = None,
    fitted: Annotated[Path | None, typer.Option(help="The engine's own parameters, from `attune fit`.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where the model goes, as JSON.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of folds and resamples: the same seed, the same model.")] = 1,
) -> None:
    """Fit a hazard of dropout to closed episodes, and show how far it can be trusted."""
    made = invocation(context)
    if out is None:
        raise ConfigurationError("where to?", hint="--out FILE")
    if importlib.util.find_spec("sklearn") is None:
        raise ConfigurationError("fitting needs scikit-learn, which is not installed", hint="pip install attune[lab]")
    with recorded(made, events, tenant) as file:
        base = _base(made, fitted, tenant)
        found = _read(made, file, labels, base.model_copy(update={"hazard": None}).tried())
    with bar(made.say, "fitting", FOLDS * (len(PENALTIES) + 1) + 1, unit="models") as progress:
        model = fit(found.periods, seed=seed, told=progress.by)
    write(out, base.foretelling(model))
    _show(made.out, model)
    made.out.print(f"written to {out}", highlight=False)


def _base(made: Invocation, fitted: Path | None, tenant: str | None) -> FittedFile:
    """The parameters that the features are made with."""
    if fitted is not None:
        return current(read(fitted))
    if tenant is not None:
        try:
            return current(finish(published(made, tenant, None)))
        except Refused:
            made.say.print(f"{tenant} has no parameters of its own: the shipped ones are used", highlight=False)
    return FittedFile.model_construct(engine=ENGINE_VERSION)


def _read(made: Invocation, events: Path, labels: Path | None, engine: EngineConfig) -> Courses:
    known = labels_file.read_labels(labels) if labels else {}
    size = events.stat().st_size if events.is_file() else 0
    with bar(made.say, "reading", 2 * size, unit="bytes") as progress:
        found = courses(events, known, engine, told=progress.by)
    if found.first_fault is not None:
        line, pointer, expected = found.first_fault
        where = f"line {line}{f' {pointer}' if pointer else ''}"
        made.say.print(f"{found.refused:,} lines left out, the first: {where}: {expected}", markup=False)
    return found


def _show(out: Console, model: HazardModel) -> None:
    table = Table("out of sample", "", "95 % by person", title="dropout after the next session")
    for name in _SHOWN:
        each = model.card[name]
        table.add_row(name, f"{each['estimate']:.3f}", f"{each['low']:.3f} to {each['high']:.3f}")
    out.print(table)
    out.print(f"{model.gate.closed_episodes:,} closed episodes, {model.gate.dropouts:,} of them dropouts")
    out.print(_line(model), highlight=False)
    shut = refusals(model.gate)
    told = f"off: {'; '.join(shut)}" if shut else "passed: it may speak"
    out.print(f"gate {told}", markup=False, highlight=False)


def _line(model: HazardModel) -> str:
    """What an alert would rest on."""
    line = model.card["line"]
    return (
        f"line {line['estimate']:.2f}: {line['share']:.1%} of sessions reached that chance of leaving within three; "
        f"after {line['seen']:.0%} of those it came true (of all sessions {line['seen of all']:.0%})"
    )
