"""`attune fit-dropout`: a clinic's own hazard of dropout, with its card, and whether it may speak."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from services.cli.bars import bar
from services.cli.invocation import Invocation, invocation
from services.lab import hazard_file
from services.lab.backtest import labels as labels_file
from services.lab.dropout_events import Courses, courses
from services.lab.hazard_fit import FOLDS, PENALTIES, fit
from services.platform.errors import ConfigurationError
from services.scoring.domain.hazard import HazardModel, refusals

EPILOG: Final = """Examples:

    attune fit-dropout --events year.ndjson --out hazard.json

    attune fit-dropout --events year.ndjson --labels truth.ndjson --out hazard.json

Who dropped out is what the labels say, else the reason that an episode was closed with. What a model may use, and what
its card says: docs/clinical/dropout.md. Nothing leaves this machine, no reference of anybody is printed or kept."""
_SHOWN: Final = ("auc", "pr-auc", "brier", "calibration slope", "calibration intercept")


def run(  # noqa: PLR0917 - typer passes options by name
    context: typer.Context,
    events: Annotated[Path | None, typer.Option(help="Recorded events, NDJSON.", show_default=False)] = None,
    labels: Annotated[Path | None, typer.Option(help="Who dropped out, where somebody knows: NDJSON.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where the model goes, as JSON.")] = None,
    version: Annotated[int, typer.Option(min=1, help="The version it is to have.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of folds and resamples: the same seed, the same model.")] = 1,
) -> None:
    """Fit a hazard of dropout to closed episodes, and show how far it can be trusted."""
    made = invocation(context)
    if events is None or out is None:
        raise ConfigurationError("from what, and where to?", hint="attune fit-dropout --events FILE --out FILE")
    if importlib.util.find_spec("sklearn") is None:
        raise ConfigurationError("fitting needs scikit-learn, which is not installed", hint="pip install attune[lab]")
    found = _read(made, events, labels)
    with bar(made.say, "fitting", FOLDS * (len(PENALTIES) + 1) + 1, unit="models") as progress:
        model = fit(found.periods, version=version, seed=seed, told=progress.by)
    hazard_file.write(out, model)
    _show(made.out, model)
    made.out.print(f"written to {out}", highlight=False, soft_wrap=True)


def _read(made: Invocation, events: Path, labels: Path | None) -> Courses:
    known = labels_file.read_labels(labels) if labels else {}
    size = events.stat().st_size if events.is_file() else 0
    with bar(made.say, "reading", 2 * size, unit="bytes") as progress:
        found = courses(events, known, told=progress.by)
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
    shut = refusals(model.gate)
    told = f"off: {'; '.join(shut)}" if shut else "passed: it may speak"
    out.print(f"gate {told}", markup=False, highlight=False, soft_wrap=True)
