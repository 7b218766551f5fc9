"""A comparison in words and numbers: markdown for the page, JSON for machines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Final

from services.lab.bootstrap import Interval, interval
from services.lab.burden import Burden
from services.lab.comparison import FEWEST_RUPTURES, Beside, Comparison, Outcome
from services.lab.evaluate import BAND_NAMES, CELLS, SHAPE_NAMES, TARGETS
from services.lab.rules import DEFAULT_RULE
from services.lab.truth import ALL

SESSIONS_A_WEEK: Final = 20
"""Of one clinician, for alerts per clinician-week."""
_OVERALL: Final = CELLS.index((ALL, ALL))
_MARGINS: Final = (*((shape, ALL) for shape in SHAPE_NAMES[1:]), *((ALL, band) for band in BAND_NAMES[1:]))
_NEAREST: Final = 8


class NoPlaceForTheTableError(ValueError):
    """The page does not say where the table goes."""

    def __init__(self, page: Path, begin: str, end: str) -> None:
        super().__init__(f"{page}: no place for the table; put the lines {begin!r} and {end!r} where it goes")


def marks(command: str) -> tuple[str, str]:
    """Between which lines of a page a command writes."""
    said = f"<!-- made by `python -m services.lab {command} --write`"
    return f"{said}: begin -->", f"{said}: end -->"


def parted(page: Path, command: str) -> tuple[str, str]:
    """What stands before and after the place where a command writes, its marks included."""
    begin, end = marks(command)
    before, opened, rest = page.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not opened or not closed:
        raise NoPlaceForTheTableError(page, begin, end)
    return before + begin, end + after


def write_into(page: Path, command: str, made: str) -> None:
    """Replace what stands between the two marks of a page."""
    before, after = parted(page, command)
    page.write_text(f"{before}\n\n{made.strip()}\n\n{after}", encoding="utf-8")


def markdown(found: Comparison) -> str:
    """The whole table."""
    return "\n".join(_lines(found))


def _lines(found: Comparison) -> Iterator[str]:
    ruptures = int(found.ruptures[_OVERALL])
    yield (
        f"{found.clients:,} clients, {found.sessions:,} rated sessions, {ruptures:,} ruptures that show; "
        f"{found.resamples:,} bootstrap resamples by client. In brackets: 95 % intervals."
    )
    for target, rate in enumerate(TARGETS):
        yield f"\n### At {rate:.3f} false alarms per clean session\n"
        yield from _at(found, target)
    yield "\n### Rules without a dial, at their own false alarms\n"
    yield from _fixed(found)
    yield "\n### Whether any rule beats the default\n"
    yield from _verdict(found)


def _at(found: Comparison, target: int) -> Iterator[str]:
    yield from table(
        ("rule", "caught", *(shape if band == ALL else f"onset {band}" for shape, band in _MARGINS), *_COSTS),
        (
            (
                each.name,
                said(interval(each.sensitivity[:, target, _OVERALL])),
                *(share(each.sensitivity[0, target, CELLS.index(cell)]) for cell in _MARGINS),
                *_costs(each.burdens[target]),
            )
            for each in found.outcomes
            if each.dialled
        ),
    )


_COSTS: Final = ("alerts /100", "/clinician-week", "PPV", "clients flagged", "delay", "gradual")


def _costs(burden: Burden) -> tuple[str, ...]:
    alerts = interval(burden.alerts_per_100)
    return (
        f"{alerts.estimate:.1f} [{alerts.low:.1f}, {alerts.high:.1f}]",
        f"{alerts.estimate / 100 * SESSIONS_A_WEEK:.2f}",
        said(interval(burden.predictive_value)),
        share(float(burden.clients_flagged[0])),
        f"{burden.delay[0]:.0f}",
        f"{burden.gradual_delay[0]:.0f}",
    )


def _fixed(found: Comparison) -> Iterator[str]:
    rows = []
    default = found.outcomes[0]
    fixed = [each for each in found.outcomes if not each.dialled]
    for place, each in enumerate(fixed, start=len(TARGETS)):
        beside = next(filter(partial(_overall, each.name), found.beside), None)
        rows.append(
            (
                each.name,
                f"{each.false_alarms[0, 0]:.3f}",
                said(interval(each.sensitivity[:, 0, _OVERALL])),
                said(interval(default.sensitivity[:, place, _OVERALL])),
                f"{beside.difference:+.2f} [{beside.low:+.2f}, {beside.high:+.2f}]" if beside else "-",
                *_costs(each.burdens[0]),
            )
        )
    heads = ("rule", "false alarms", "caught", "default at as many", "difference (simultaneous)", *_COSTS)
    yield from table(heads, rows)


def _overall(rule: str, beside: Beside) -> bool:
    return (beside.rule, beside.shape, beside.band) == (rule, ALL, ALL)


def _verdict(found: Comparison) -> Iterator[str]:
    yield (
        f"{len(found.beside):,} comparisons (rule, false alarms, shape, onset) in cells of {FEWEST_RUPTURES} ruptures "
        f"or more; paired by client, one simultaneous 95 % band over all of them (largest studentised deviation, "
        f"{found.multiple:.2f} standard errors)."
    )
    beaten = [each for each in found.beside if each.beats_the_default]
    if beaten:
        yield f"\nThe default is beaten in {len(beaten)}:\n"
        yield from _cells(beaten)
    else:
        yield "\nIn none of them is the default beaten. Where a rule comes nearest:\n"
        yield from _cells(sorted(found.beside, key=lambda each: each.low, reverse=True)[:_NEAREST])
    yield from _one_threshold([each for each in found.one_threshold if each.beats_the_default])


def _one_threshold(beaten: Sequence[Beside]) -> Iterator[str]:
    if not beaten:
        yield "\nWith one threshold for all sessions it is beaten in none either."
        return
    yield (
        "\nWith one threshold for all sessions the false alarms of a cell by onset are no longer equal: a rule that is "
        f"silent early spends them all late. Read so, the default is beaten in {len(beaten)}, the largest ones being:\n"
    )
    yield from _cells(sorted(beaten, key=lambda each: each.low, reverse=True)[:_NEAREST])


def _cells(cells: Sequence[Beside]) -> Iterator[str]:
    yield from table(
        ("rule", "false alarms", "shape", "onset", "ruptures", "rule less default"),
        (
            (
                each.rule,
                f"{each.false_alarms:.3f}",
                each.shape,
                each.band,
                str(each.ruptures),
                f"{each.difference:+.3f} [{each.low:+.3f}, {each.high:+.3f}]",
            )
            for each in cells
        ),
    )


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A markdown table, the first column to the left."""
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "|".join(["---", *["---:"] * (len(heads) - 1)]) + "|"
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def share(value: float) -> str:
    """Two digits, without the leading 0.

    >>> share(0.474), share(1.0), share(float("nan"))
    ('.47', '1.00', '-')
    """
    if value != value:  # noqa: PLR0124 - NaN is what is not itself
        return "-"
    return f"{value:.2f}".removeprefix("0")


def said(found: Interval) -> str:
    """An estimate with its interval."""
    return f"{share(found.estimate)} [{share(found.low)}, {share(found.high)}]"


def as_json(found: Comparison) -> dict[str, Any]:
    """All of it: every rule, rate and cell."""
    return {
        "clients": found.clients,
        "sessions": found.sessions,
        "resamples": found.resamples,
        "default": DEFAULT_RULE,
        "rules": [_rule(each, found) for each in found.outcomes],
        "beside_the_default": [{**asdict(each), "beats_the_default": each.beats_the_default} for each in found.beside],
        "simultaneous_multiple": found.multiple,
        "beside_the_default_with_one_threshold": [asdict(each) for each in found.one_threshold],
    }


def _rule(each: Outcome, found: Comparison) -> dict[str, Any]:
    return {
        "rule": each.name,
        "dialled": each.dialled,
        "at": [
            {
                "false_alarms": float(each.false_alarms[0, column]),
                "threshold": each.thresholds[column],
                "cells": _cell_values(each, column, found),
                "alerts_per_100": interval(burden.alerts_per_100)._asdict(),
                "predictive_value": interval(burden.predictive_value)._asdict(),
                "clients_flagged": interval(burden.clients_flagged)._asdict(),
                "delay": interval(burden.delay)._asdict(),
                "gradual_delay": interval(burden.gradual_delay)._asdict(),
            }
            for column, burden in enumerate(each.burdens)
        ],
    }


def _cell_values(each: Outcome, column: int, found: Comparison) -> list[dict[str, Any]]:
    return [
        {
            "shape": shape,
            "onset": band,
            "ruptures": int(found.ruptures[cell]),
            **interval(each.sensitivity[:, column, cell])._asdict(),
        }
        for cell, (shape, band) in enumerate(CELLS)
        if found.ruptures[cell]
    ]
