"""The comparison drawn: what is caught for how many false alarms, and of which shape. Same numbers, same bytes."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from services.lab.bootstrap import interval
from services.lab.comparison import Comparison, Outcome
from services.lab.evaluate import CELLS, TARGETS
from services.lab.population import SHAPES
from services.lab.rules import DEFAULT_RULE
from services.lab.truth import ALL

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROC: Final = "sensitivity-by-false-alarms.svg"
BY_SHAPE: Final = "sensitivity-by-shape.svg"
_AT: Final = TARGETS.index(0.01)
_OVERALL: Final = CELLS.index((ALL, ALL))
STYLE: Final[Any] = {
    "svg.hashsalt": "attune",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_INK: Final = "#1f4e79"
_OTHERS: Final = ("#c55a11", "#548235", "#7f6000", "#7030a0", "#2e75b6", "#a5a5a5", "#404040", "#bf9000", "#833c0b")
_SHOWN_BY_SHAPE: Final = 6


class DrawingLibraryMissingError(ImportError):
    """Matplotlib is an extra of its own."""

    def __init__(self) -> None:
        super().__init__("drawing needs matplotlib: pip install attune[lab]")


def drawing_library() -> ModuleType:
    """Matplotlib.

    Raises:
        DrawingLibraryMissingError: it is not installed.
    """
    try:
        import matplotlib as mpl  # noqa: PLC0415 - an extra that no service has
    except ImportError as missing:
        raise DrawingLibraryMissingError from missing
    return mpl


def draw(found: Comparison, folder: Path) -> tuple[Path, ...]:
    """Both figures, as SVG."""
    mpl = drawing_library()
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        return _saved(folder / ROC, found, _by_false_alarms), _saved(folder / BY_SHAPE, found, _by_shape)


def _saved(path: Path, found: Comparison, drawn: Any) -> Path:  # noqa: ANN401 - one of the two below
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra that no service has

    figure = Figure(figsize=(8, 5), layout="constrained")
    drawn(figure.subplots(), found)
    figure.savefig(path, metadata={"Date": None, "Creator": "attune lab"})
    path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")
    return path


def _by_false_alarms(axes: Axes, found: Comparison) -> None:
    for each in _dialled(found):
        values = [interval(each.sensitivity[:, target, _OVERALL]) for target in range(len(TARGETS))]
        middle = [value.estimate for value in values]
        colour = _colour(found, each)
        axes.plot(TARGETS, middle, marker="o", ms=4, color=colour, lw=_width(each), label=each.name)
        axes.fill_between(
            TARGETS, [value.low for value in values], [value.high for value in values], color=colour, alpha=0.08, lw=0
        )
    fixed = [each for each in found.outcomes if not each.dialled and each.false_alarms[0, 0] <= max(TARGETS)]
    for place, each in enumerate(sorted(fixed, key=lambda each: -float(each.sensitivity[0, 0, _OVERALL]))):
        at = float(each.false_alarms[0, 0]), float(each.sensitivity[0, 0, _OVERALL])
        axes.plot(*at, marker="x", color="black", ls="")
        axes.annotate(each.name, at, fontsize=7, xytext=(4, -9 if place % 2 else 5), textcoords="offset points")
    axes.set(xlabel="false alarms per clean session", ylabel="ruptures caught", xlim=(0, None), ylim=(0, None))
    axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))


def _by_shape(axes: Axes, found: Comparison) -> None:
    shown = sorted(_dialled(found), key=lambda each: -each.sensitivity[0, _AT, _OVERALL])[:_SHOWN_BY_SHAPE]
    shapes = [shape for shape in SHAPES if found.ruptures[CELLS.index((shape, ALL))]]
    width = 0.8 / len(shown)
    for place, each in enumerate(shown):
        values = [interval(each.sensitivity[:, _AT, CELLS.index((shape, ALL))]) for shape in shapes]
        middle = [value.estimate for value in values]
        axes.bar(
            [at + (place - len(shown) / 2 + 0.5) * width for at in range(len(shapes))],
            middle,
            width * 0.9,
            yerr=([each.estimate - each.low for each in values], [each.high - each.estimate for each in values]),
            error_kw={"lw": 0.8, "ecolor": "#404040"},
            color=_colour(found, each),
            label=each.name,
        )
    axes.set_xticks(range(len(shapes)), shapes)
    axes.set(ylabel=f"ruptures caught at {TARGETS[_AT]:g} false alarms per clean session", ylim=(0, None))
    axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))


def _dialled(found: Comparison) -> list[Outcome]:
    return [each for each in found.outcomes if each.dialled]


def _colour(found: Comparison, each: Outcome) -> str:
    """The same for a rule in every figure."""
    place = [other.name for other in _dialled(found)].index(each.name)
    return _INK if each.name == DEFAULT_RULE else _OTHERS[place % len(_OTHERS)]


def _width(each: Outcome) -> float:
    return 2.5 if each.name == DEFAULT_RULE else 1.2
