"""What the pages on dropout and off-track show: a figure each (SVG), and the table of the log-ins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from schemas.instruments.srs_ors import ORS
from services.lab.dropout_study import Study, told
from services.lab.figures import drawing_library
from services.lab.g_icbt import Forecast
from services.scoring.domain import off_track

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DROPOUT: Final = "dropout-ceiling.svg"
OFF_TRACK: Final = "off-track-curves.svg"
_INK: Final = "#1f4e79"
_OTHER: Final = "#c55a11"
_STYLE: Final[Any] = {
    "svg.hashsalt": "attune",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_INTAKES: Final = (10.0, 16.0, 22.0)


def dropout_figure(found: Study, folder: Path) -> Path:
    """AUC by clinic beside the generator's own."""
    return _saved(folder / DROPOUT, lambda axes: _ceiling(axes, found))


def off_track_figure(folder: Path) -> Path:
    """The expectation from three beginnings on the ORS, with the bands others colour."""
    return _saved(folder / OFF_TRACK, _curves)


def _saved(path: Path, drawn: Callable[[Axes], None]) -> Path:
    mpl = drawing_library()
    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(_STYLE):
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra that no service has

        figure = Figure(figsize=(8, 4.5), layout="constrained")
        drawn(figure.subplots())
        figure.savefig(path, metadata={"Date": None, "Creator": "attune lab"})
    path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")
    return path


def _ceiling(axes: Axes, found: Study) -> None:
    rows = found.early[::-1]
    places = list(range(len(rows)))
    for name, colour, values in (
        ("the generator's own hazard", _OTHER, [each.ceiling for each in rows]),
        ("Attune's, fitted on other clinics", _INK, [each.auc for each in rows]),
    ):
        middle = [value.estimate for value in values]
        error = ([each.estimate - each.low for each in values], [each.high - each.estimate for each in values])
        axes.errorbar(middle, places, xerr=error, fmt="o", ms=5, lw=1, color=colour, label=name)
    axes.set_yticks(places, [each.name for each in rows])
    axes.axvline(0.5, color="#a5a5a5", lw=1)
    axes.set(xlabel="AUC of dropping out after sessions 1 to 3 (0.5 is chance)")
    axes.legend(frameon=False, fontsize=9)


def _curves(axes: Axes) -> None:
    config = off_track.shipped(ORS)
    sessions = list(range(1, 13))
    for intake in _INTAKES:
        middle = [off_track.expected(config.curve, intake, at) for at in sessions]
        red = [
            value - off_track.RED_SDS * off_track.spread(config.curve, at)
            for value, at in zip(middle, sessions, strict=True)
        ]
        axes.plot(sessions, middle, color=_INK, marker="o", ms=3)
        axes.fill_between(sessions, red, middle, color=_INK, alpha=0.12, lw=0)
        axes.annotate(f"from {intake:g}", (sessions[-1], middle[-1]), xytext=(6, -3), textcoords="offset points")
    axes.axhline(config.cutoff or 0.0, color=_OTHER, lw=1, ls="--")
    axes.annotate("cut-off 25", (1, 25.3), color=_OTHER, fontsize=9)
    axes.set(xlabel="session", ylabel="ORS", ylim=(0, 40), xlim=(1, 13.5))


def by_day(found: Forecast) -> str:
    """The table of the page."""
    lines = [
        f"{found.people} people, {found.stopped} of whom did not adhere; cross-validated by person, 95 % intervals.",
        "",
        "| | all features | number of log-ins alone |",
        "|---|---|---|",
    ]
    lines += [f"| {name} | {told(found.full[name])} | {told(found.counts[name])} |" for name in found.full]
    return "\n".join([*lines, f"| AUC gained | {told(found.gained)} | |"])
