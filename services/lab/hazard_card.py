"""The model card of a hazard: how well it tells who leaves, and whether its chances are true. Intervals by person."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.lab.bootstrap import interval
from services.lab.population import Floats, Marks

if TYPE_CHECKING:
    from services.lab.hazard_fit import Period

Card = Mapping[str, Mapping[str, float]]
Measure = Callable[[Floats, Marks], float]
RESAMPLES: Final = 200
_DECILES: Final = 10
_SESSIONS: Final = 6
_LEAST_IN_GROUP: Final = 15
"""Dropouts: below that a group's figures are noise."""


class Tried(NamedTuple):
    """Rows with an out-of-sample logit and what happened; `person` numbers people from 0."""

    person: NDArray[np.int64]
    logit: Floats
    happened: Marks

    def rows(self, rows: Marks | NDArray[np.int64]) -> Tried:
        return Tried(self.person[rows], self.logit[rows], self.happened[rows])


def auc(logit: Floats, happened: Marks) -> float:
    """Chance that one who left stood higher than one who stayed; ties count half.

    >>> auc(np.array([0.1, 0.4, 0.4, 0.9]), np.array([False, False, True, True]))
    0.875
    """
    left = int(happened.sum())
    if not left or left == happened.size:
        return float("nan")
    _, place, count = np.unique(logit, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[place]
    return float((rank[happened].sum() - left * (left + 1) / 2) / (left * (happened.size - left)))


def average_precision(logit: Floats, happened: Marks) -> float:
    """Area under precision and recall, by steps; ties are taken together."""
    if not happened.any():
        return float("nan")
    levels, place = np.unique(-logit, return_inverse=True)
    left = np.cumsum(np.bincount(place, weights=happened, minlength=levels.size))
    seen = np.cumsum(np.bincount(place, minlength=levels.size))
    return float(np.sum(np.diff(left, prepend=0.0) * left / seen) / left[-1])


def brier(logit: Floats, happened: Marks) -> float:
    return float(np.mean((chance(logit) - happened) ** 2))


def chance(logit: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-logit)))


def recalibration(logit: Floats, happened: Marks) -> tuple[float, float]:
    """Intercept and slope of a logit on the predicted one (Cox 1958): 0 and 1 where the chances are true.

    >>> rng = np.random.default_rng(1)
    >>> logit = rng.normal(-1, 1, 20_000)
    >>> intercept, slope = recalibration(2 * logit, rng.random(logit.size) < chance(logit))
    >>> round(slope, 1)
    0.5
    """
    design, found = np.column_stack((np.ones(logit.size), logit)), np.array([0.0, 1.0])
    for _ in range(25):
        expected = chance(design @ found)
        weight = expected * (1 - expected)
        step = np.linalg.lstsq((design * weight[:, None]).T @ design, design.T @ (happened - expected), rcond=None)[0]
        found = found + np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-9:
            break
    return float(found[0]), float(found[1])


def slope(logit: Floats, happened: Marks) -> float:
    return recalibration(logit, happened)[1] if happened.any() and np.ptp(logit) > 0 else float("nan")


MEASURES: Final[Mapping[str, Measure]] = {
    "auc": auc,
    "pr-auc": average_precision,
    "brier": brier,
    "calibration slope": slope,
    "calibration intercept": lambda logit, happened: recalibration(logit, happened)[0],
}


def card_of(periods: Sequence[Period], tried: Tried, seed: int = 1) -> Card:
    """Every measure with its interval; calibration by decile and session; the audit of subgroups."""
    return {
        "rows": {"estimate": float(tried.happened.size), "share": float(tried.happened.mean())},
        **intervals(tried, MEASURES, seed),
        **dict(by_decile(tried)),
        **dict(_by_session(periods, tried)),
        **dict(_audit(periods, tried)),
    }


def intervals(tried: Tried, measures: Mapping[str, Measure], seed: int, count: int = RESAMPLES) -> Card:
    """95 % by the percentile bootstrap over whole persons."""
    values = np.array([[each(*drawn) for each in measures.values()] for drawn in drawn_again(tried, seed, count)])
    found = {}
    for place, name in enumerate(measures):
        estimate, low, high = interval(values[:, place])
        found[name] = {"estimate": estimate, "low": low, "high": high}
    return found


def drawn_again(tried: Tried, seed: int, count: int) -> Iterator[tuple[Floats, Marks]]:
    """The rows themselves, then `count` resamples of people with all their rows."""
    yield tried.logit, tried.happened
    order = np.argsort(tried.person, kind="stable")
    people, first, rows = np.unique(tried.person[order], return_index=True, return_counts=True)
    rng = np.random.default_rng([seed, people.size])
    for _ in range(count):
        drawn = rng.integers(people.size, size=people.size)
        width = rows[drawn]
        ends = np.cumsum(width)
        at = order[np.arange(ends[-1]) + np.repeat(first[drawn] - ends + width, width)]
        yield tried.logit[at], tried.happened[at]


def by_decile(tried: Tried) -> Iterator[tuple[str, Mapping[str, float]]]:
    """Expected beside seen, from the least likely tenth to the likeliest."""
    order = np.argsort(tried.logit, kind="stable")
    for place, rows in enumerate(np.array_split(order, _DECILES), start=1):
        if rows.size:
            yield f"decile {place}", _expected_and_seen(tried.rows(rows))


def _by_session(periods: Sequence[Period], tried: Tried) -> Iterator[tuple[str, Mapping[str, float]]]:
    session = np.array([each.features.session for each in periods])
    for place in range(1, _SESSIONS + 2):
        rows = session == place if place <= _SESSIONS else session > _SESSIONS
        if rows.any():
            name = f"session {place}" if place <= _SESSIONS else "later sessions"
            here = tried.rows(rows)
            yield (
                name,
                _expected_and_seen(here),
            )


def _audit(periods: Sequence[Period], tried: Tried) -> Iterator[tuple[str, Mapping[str, float]]]:
    """Who is judged worse, of those with enough dropouts. Names of therapists stay out of the card."""
    for kind in ("instrument", "therapist"):
        named = np.array([getattr(each, kind) or "" for each in periods])
        groups = [name for name in np.unique(named) if name and tried.happened[named == name].sum() >= _LEAST_IN_GROUP]
        for place, name in enumerate(groups, start=1):
            here = tried.rows(named == name)
            called = f"instrument {name}" if kind == "instrument" else f"therapist {place} of {len(groups)}"
            yield (
                called,
                _expected_and_seen(here),
            )


def _expected_and_seen(tried: Tried) -> dict[str, float]:
    """No AUC where nobody left, or everybody did: what cannot be known is not there."""
    logit, happened = tried.logit, tried.happened
    found = {"expected": float(chance(logit).mean()), "seen": float(happened.mean()), "rows": float(happened.size)}
    told = auc(logit, happened)
    return found if np.isnan(told) else {**found, "auc": told}
