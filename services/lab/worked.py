"""One made-up course as each detector sees it: the figures of the detectors' pages. Same code, same bytes.

A fall at session 6 that is repaired at once, and a slide from session 11 on: what one detector sees, another does not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from schemas.instruments.srs_ors import SRS
from services.alerts.domain.policy import ORDINARY_SHARE, STRICT_DRIFT
from services.lab.figures import STYLE, drawing_library
from services.scoring.domain import cusum, drift, ewma, individuals, presets, residuals, rolling, rupture
from services.scoring.domain.config import DEFAULT, SeriesConfig, series_config

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COURSE: Final = (38.2, 37.4, 38.6, 37.9, 38.3, 31.0, 36.5, 38.1, 37.8, 38.4, 36.8, 35.2, 33.8, 32.2, 31.0, 30.4)
SESSIONS: Final = tuple(range(1, len(COURSE) + 1))
_INK: Final = "#1f4e79"
_LIMIT: Final = "#c55a11"
_RATED: Final = "#8a8a8a"
Line = Sequence[float | None]


def draw(folder: Path) -> tuple[Path, ...]:
    """A figure for each page in `PAGES`, as SVG.

    Raises:
        DrawingLibraryMissingError: matplotlib is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return tuple([_saved(folder / f"worked-{page}.svg", drawn) for page, drawn in PAGES.items()])


def _saved(path: Path, drawn: Callable[[Axes, Axes], None]) -> Path:
    with drawing_library().rc_context(STYLE):
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra that no service has

        figure = Figure(figsize=(9, 4.4), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        _rated(above)
        drawn(above, below)
        for axes in (above, below):
            axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
        below.set(xlabel="session", xticks=SESSIONS)
        figure.savefig(path, metadata={"Date": None, "Creator": "attune lab"})
    path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")
    return path


def _rated(axes: Axes) -> None:
    axes.plot(SESSIONS, COURSE, "-o", color=_RATED, ms=4, lw=1, label="ratings")
    axes.set(ylabel="SRS", ylim=(26, 40.8))


def seen(module: Any, config: object) -> list[Any]:  # noqa: ANN401 - any module of the domain with start and step
    """What a detector says of the course, session by session.

    >>> from services.scoring.domain import drop
    >>> [round(each.fall, 1) for each in seen(drop, None)[4:7]]
    [-0.4, 7.3, -5.5]
    """
    state, found = module.start(config), []
    for score in COURSE:
        state, reading = module.step(config, state, score)
        found.append(reading)
    return found


def _line(axes: Axes, values: Line, label: str, *, limit: bool = False) -> None:
    heights = [float("nan") if value is None else value for value in values]
    style = "--" if limit else "-"
    axes.plot(SESSIONS, heights, style, color=_LIMIT if limit else _INK, lw=1.4, marker=None, label=label)


def _past(axes: Axes, values: Line, limit: float, *, below: bool = False) -> None:
    """Marks the sessions in which the number is past its limit."""
    for at, value in zip(SESSIONS, values, strict=True):
        if value is not None and (value < limit if below else value > limit):
            axes.plot(at, value, "v", color=_LIMIT, ms=8)


def _statistic(axes: Axes, values: Line, limit: float, name: str) -> None:
    _line(axes, values, name)
    axes.axhline(limit, color=_LIMIT, ls="--", lw=1.4, label=f"limit {limit:g}")
    _past(axes, values, limit)
    axes.set_ylabel(name.split(",", maxsplit=1)[0])


def _rolling(above: Axes, below: Axes) -> None:
    config = _srs().rolling
    found = [each.expected for each in seen(rolling, config)]
    lowest = config.probabilities.index(min(config.probabilities))
    _line(above, [each.mean if each else None for each in found], "expected")
    quantiles = [each.quantiles[lowest] if each else None for each in found]
    _line(above, quantiles, f"lowest {min(config.probabilities):.0%} begins", limit=True)
    _rarity(below, [each.tail_probability if each else None for each in found], 0.02, "probability of so low\na rating")


def _evidence(above: Axes, below: Axes) -> None:
    found = seen(rupture, _srs().rupture)
    for at, score, each in zip(SESSIONS, COURSE, found, strict=True):
        if each and each.rate < ORDINARY_SHARE:
            name = "slide" if each.slide >= 0.5 else "fall"
            above.annotate(name, (at, score), xytext=(0, -14), textcoords="offset points", ha="center", fontsize=8)
    rates = [each.rate if each else None for each in found]
    _rarity(below, rates, ORDINARY_SHARE, "share of ordinary sessions\nas unusual")


def _rarity(axes: Axes, values: Line, limit: float, name: str) -> None:
    _line(axes, values, name)
    axes.axhline(limit, color=_LIMIT, ls="--", lw=1.4, label=f"limit {limit:g}")
    _past(axes, values, limit, below=True)
    axes.set(yscale="log", ylim=(1e-4, 1.5), ylabel="share")


def _own_usual(above: Axes, below: Axes) -> None:
    found = seen(residuals, presets.own_usual(SRS.total))
    _line(above, [each.usual for each in found], "this client's usual")
    _statistic(below, [each.below_sds for each in found], 2.0, "SD below usual")


def _individuals(above: Axes, below: Axes) -> None:
    found = seen(individuals, presets.individuals_chart(SRS.total))
    _line(above, [each.limits.centre if each.limits else None for each in found], "centre")
    _line(above, [each.limits.lower if each.limits else None for each in found], "lower limit", limit=True)
    _line(below, [each.below_sds for each in found], "sigma below the centre")
    _line(below, [each.limit_sds for each in found], "limit at so many ratings", limit=True)
    below.set_ylabel("sigma")


def _ewma(above: Axes, below: Axes) -> None:
    known, own = seen(ewma, presets.known_ewma(SRS.total)), seen(drift, presets.shrunk_drift(SRS.total))
    _line(above, [each.ewma for each in known], "average of the known chart")
    _line(above, [each.usual for each in own], "this client's usual", limit=True)
    limit = STRICT_DRIFT.bounds[0].threshold
    _statistic(below, [each.below_sds for each in own], limit, "drift, SD below usual")


def _cusum(above: Axes, below: Axes) -> None:
    config = presets.known_cusum(SRS.total)
    above.axhline(
        config.centre - config.allowance_sds * config.sigma, color=_INK, lw=1.4, label="falls below it add up"
    )
    _statistic(below, [each.low for each in seen(cusum, config)], config.decision_sds, "falls added up, SD")


def _srs() -> SeriesConfig:
    config = series_config(DEFAULT, SRS.key)
    assert isinstance(config, SeriesConfig)
    return config


PAGES: Final[Mapping[str, Callable[[Axes, Axes], None]]] = {
    "rolling-score": _rolling,
    "rupture-evidence": _evidence,
    "own-usual": _own_usual,
    "individuals-chart": _individuals,
    "ewma": _ewma,
    "cusum": _cusum,
}
"""By the page of docs/clinical that shows it."""
