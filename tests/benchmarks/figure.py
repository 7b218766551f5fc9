"""The points of the scaling runs as a figure: docs/figures/benchmarks-scaling.svg. Same points, same bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

FIGURE: Final = Path("docs/figures/benchmarks-scaling.svg")
_STYLE: Final[Any] = {
    "svg.hashsalt": "attune",
    "svg.fonttype": "none",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_LINES: Final = (("cpu", "#1f4e79", "-"), ("wall", "#9aa5b1", "--"))


def draw(points: Path) -> None:
    """A panel for each sweep: the worker's processor time, and the clock on the wall."""
    sweeps = json.loads(points.read_text(encoding="utf-8"))
    FIGURE.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(10, 3.5), layout="constrained")
        for axes, (name, measured) in zip(figure.subplots(1, len(sweeps)), sweeps.items(), strict=True):
            _panel(axes, name, measured)
        figure.savefig(FIGURE, metadata={"Date": None, "Creator": "attune benchmarks"})
    FIGURE.write_text("\n".join(line.rstrip() for line in FIGURE.read_text().splitlines()) + "\n")


def _panel(axes: Axes, name: str, measured: list[dict[str, Any]]) -> None:
    """Lines through each point's quietest round; what a round cost in processor time is a dot."""
    places = [point[name] for point in measured]
    for kind, ink, style in _LINES:
        axes.plot(places, [min(point[kind]) for point in measured], color=ink, ls=style, lw=2, label=kind)
    for point in measured:
        axes.plot(
            [point[name]] * len(point["cpu"]), point["cpu"], ls="", marker="o", ms=3, color=_LINES[0][1], alpha=0.5
        )
    axes.set_xscale("log")
    axes.set_xticks(places, [f"{place:,}" for place in places], minor=False)
    axes.set_xticks([], minor=True)
    most = max(max(*point["cpu"], min(point["wall"])) for point in measured)
    axes.set(xlabel=name, ylabel="us an event", ylim=(0, 1.1 * most))
    axes.legend(frameon=False, loc="lower right")
