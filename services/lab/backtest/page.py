"""The findings as one page that needs nothing else: tables, and drawings within it."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup

from schemas.instruments import Instrument, lookup
from services.lab.backtest.tally import Example
from services.platform.errors import ConfigurationError

_INK: Final = ("#1f5f8b", "#c2571a", "#4c7a34", "#7a4b94", "#8a6d1d")


def write(path: Path, found: dict[str, Any], examples: Sequence[Example], doubts: Sequence[str] = ()) -> None:
    """Draw and write. `doubts`: what a reader should know before trusting it.

    Raises:
        ConfigurationError: matplotlib is not installed, or the file cannot be written.
    """
    environment = Environment(loader=PackageLoader("services.lab.backtest", "."), autoescape=select_autoescape())
    page = environment.get_template("page.html.jinja").render(
        found=found,
        doubts=doubts,
        rows=_rows(found),
        burden=_drawn(partial(_burden, found=found), (7.0, 0.6 + 0.5 * len(found["policies"]))),
        caught=_drawn(partial(_caught, found=found), (6.0, 3.6)) if "labels" in found else "",
        examples=[_drawn(partial(_course, course=each, policies=list(found["policies"]))) for each in examples],
    )
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}", hint="check --out") from None


def _drawn(draw: Callable[[Any], None], size: tuple[float, float] = (7.0, 2.4)) -> Markup:
    """One drawing as SVG, the same bytes whenever it is drawn."""
    try:
        import matplotlib as mpl  # noqa: PLC0415 - the laboratory's extra
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError:
        raise ConfigurationError(
            "drawing needs matplotlib", hint="pip install 'attune[lab]', or leave out --out"
        ) from None
    with mpl.rc_context({"svg.hashsalt": "attune", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        axes.spines[["top", "right"]].set_visible(False)
        draw(axes)
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None})
    svg = written.getvalue()
    return Markup(svg[svg.index("<svg") :])  # noqa: S704 - drawn from numbers; names in it are our own policies'


def _rows(found: dict[str, Any]) -> dict[str, list[str]]:
    """The rows of tables with a column for each policy: whatever any has. A textbook rule is its own only one."""
    fields = {name: found["policies"].values() for name in ("by_kind", "by_severity", "by_rule")}
    rows = {name: list(dict.fromkeys(key for each in of for key in each[name])) for name, of in fields.items()}
    rows["by_rule"] = [rule for rule in rows["by_rule"] if rule not in found["policies"]]
    if "labels" in found:
        first = next(iter(found["labels"]["policies"].values()))
        rows |= {"by_shape": list(first["sensitivity_by_shape"]), "by_onset": list(first["sensitivity_by_onset"])}
    return rows


def _burden(axes: Any, found: dict[str, Any]) -> None:  # noqa: ANN401 - matplotlib's axes
    names = list(found["policies"])
    weekly = [found["policies"][name]["alerts_per_clinician_week"] for name in names]
    axes.barh(names, weekly, color=_INK[: len(names)])
    axes.axvline(found["budget_per_clinician_week"], color="#555", linestyle="--", linewidth=1)
    axes.invert_yaxis()
    axes.set_xlabel("alerts a clinician and week (dashed: the budget)")


def _caught(axes: Any, found: dict[str, Any]) -> None:  # noqa: ANN401 - matplotlib's axes
    for ink, (name, each) in zip(_INK * 4, found["labels"]["policies"].items(), strict=False):
        false, caught = each["false_alarms_per_clean_session"], each["sensitivity"]
        if caught["estimate"] is None or false["estimate"] is None:
            continue
        spread = [[at["estimate"] - at["low"], at["high"] - at["estimate"]] for at in (false, caught)]
        axes.errorbar(
            false["estimate"],
            caught["estimate"],
            xerr=[[spread[0][0]], [spread[0][1]]],
            yerr=[[spread[1][0]], [spread[1][1]]],
            fmt="o",
            color=ink,
            label=name,
        )
    axes.set(xlabel="false alarms per clean session", ylabel="ruptures caught", ylim=(0, 1))
    axes.legend(frameon=False)


def _course(axes: Any, course: Example, policies: Sequence[str]) -> None:  # noqa: ANN401 - matplotlib's axes
    sessions = range(1, len(course.totals) + 1)
    axes.plot(sessions, [float("nan") if each is None else each for each in course.totals], "-o", color="#888", ms=3)
    for onset, end in course.truth:
        axes.axvspan(onset - 0.4, end + 0.4, color="#f1d9c8", linewidth=0)
    for place, (ink, spoke) in enumerate(zip(_INK * 4, course.spoke, strict=False)):
        heights = [course.totals[at - 1] or 0 for at in spoke]
        size = 9 - 2 * place  # where several speak, each is seen
        axes.plot(spoke, heights, "v", color=ink, ms=max(3, size), label=policies[place] if spoke else None)
    axes.set(xlabel="session", ylabel=course.instrument, xlim=(0.5, max(8, len(course.totals)) + 0.5))
    axes.xaxis.get_major_locator().set_params(integer=True)
    scale = lookup(course.instrument)
    if isinstance(scale, Instrument):
        axes.set_ylim(scale.total.low, scale.total.high + 0.04 * scale.total.span)
    if any(course.spoke):
        axes.legend(frameon=False, fontsize=8, loc="lower right")
