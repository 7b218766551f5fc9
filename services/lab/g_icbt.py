"""Real log-ins to a guided internet therapy: who stops, told on day 21 from the log-ins until then.

The file is `interactions.csv` of Cote-Allard's G-ICBT study (171 of 342 people). Its licence does not let us ship it,
so it comes by path. Log-ins are taken for attended sessions; nothing is known of alliance, therapist or outcome.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from math import log1p
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.lab.bootstrap import Interval
from services.lab.hazard_card import MEASURES, Measure, Tried, drawn_again, intervals
from services.lab.hazard_fit import regression
from services.lab.population import Floats, Marks
from services.platform.errors import AttuneError

UNTIL_DAY: Final = 21
FOLDS: Final = 10
REPEATS: Final = 10
PENALTY: Final = 0.1
"""Inverse strength of the ridge, fixed before anything was seen."""
FEATURES: Final = ("log-ins", "days with a log-in", "hours", "silent days", "longest gap", "log-ins of the last week")
COUNTS: Final = FEATURES[:1]
"""What the baseline has: how often somebody logged in."""
_COLUMNS: Final = ("participant", "session_start", "session_end", "adherent")


class UnreadableLogins(AttuneError):
    """Not the file that was expected; names the line, never what stands there."""


class Visit(NamedTuple):
    """One log-in: days since the first of all, and how long it lasted, in hours."""

    day: float
    hours: float


class Person(NamedTuple):
    """All log-ins in order; `stopped`: did not adhere, as the study counted it."""

    visits: tuple[Visit, ...]
    stopped: bool


class Forecast(NamedTuple):
    """Out of sample, by person: with all features, with counts alone, and the difference of the AUCs."""

    people: int
    stopped: int
    full: dict[str, Interval]
    counts: dict[str, Interval]
    gained: Interval


def read(path: Path) -> list[Person]:
    """Everybody in the file.

    Raises:
        UnreadableLogins: no such file, or not its columns.
    """
    spans: defaultdict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
    stopped: dict[str, bool] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for number, row in enumerate(csv.DictReader(file), start=2):
                person, span, left = _row(number, row)
                spans[person].append(span)
                stopped[person] = left
    except (OSError, UnicodeDecodeError):
        raise UnreadableLogins(f"{path} cannot be read", hint="interactions.csv of the G-ICBT study") from None
    return [Person(_visits(sorted(each)), stopped[person]) for person, each in spans.items()]


def _row(number: int, row: dict[str, str]) -> tuple[str, tuple[datetime, datetime], bool]:
    try:
        begin, end = (datetime.fromisoformat(row[name]) for name in _COLUMNS[1:3])
        return row["participant"], (begin, end), {"0": True, "1": False}[row["adherent"]]
    except (KeyError, ValueError, TypeError):
        raise UnreadableLogins(
            f"line {number}: expected {', '.join(_COLUMNS)}", hint="times in ISO 8601, adherent 0 or 1"
        ) from None


def _visits(spans: Sequence[tuple[datetime, datetime]]) -> tuple[Visit, ...]:
    first = spans[0][0]
    return tuple(Visit((begin - first) / timedelta(days=1), (end - begin) / timedelta(hours=1)) for begin, end in spans)


def known_by(person: Person, day: float = float(UNTIL_DAY)) -> tuple[float, ...]:
    """`FEATURES` from the log-ins up to that day, and nothing later.

    >>> steady = Person((Visit(0.0, 1.0), Visit(7.0, 1.0), Visit(14.0, 1.0), Visit(30.0, 1.0)), stopped=False)
    >>> [round(each, 2) for each in known_by(steady)]
    [1.39, 3.0, 3.0, 7.0, 7.0, 0.69]
    """
    seen = [visit for visit in person.visits if visit.day <= day]
    days = [visit.day for visit in seen]
    return (
        log1p(len(seen)),
        float(len({int(each) for each in days})),
        min(10.0, sum(min(visit.hours, 24 * (day - visit.day)) for visit in seen)),
        day - days[-1],
        max((later - earlier for earlier, later in pairwise([*days, day])), default=day),
        log1p(sum(each >= day - 7 for each in days)),
    )


def forecast(people: Sequence[Person], seed: int = 1, resamples: int = 1_000, repeats: int = REPEATS) -> Forecast:
    """Cross-validated by person, ten times over with other folds unless told otherwise; intervals by person."""
    every = np.array([known_by(person) for person in people])
    stopped = np.array([person.stopped for person in people])
    full = _out_of_sample(every, stopped, seed, repeats)
    counts = _out_of_sample(every[:, : len(COUNTS)], stopped, seed, repeats)
    number = np.arange(len(people))
    told = ("auc", "pr-auc", "brier", "calibration slope")
    measures: dict[str, Measure] = {name: MEASURES[name] for name in told}

    def card(logit: Floats) -> dict[str, Interval]:
        found = intervals(Tried(number, logit, stopped), measures, seed, resamples)
        return {name: Interval(each["estimate"], each["low"], each["high"]) for name, each in found.items()}

    return Forecast(
        len(people), int(stopped.sum()), card(full), card(counts), _gained(full, counts, stopped, seed, resamples)
    )


def _out_of_sample(values: Floats, stopped: Marks, seed: int, repeats: int) -> Floats:
    """The mean logit of each person over the repeats, always by models that never saw them."""
    rng, total = np.random.default_rng(seed), np.zeros(stopped.size)
    for _ in range(repeats):
        fold = _folds(rng, stopped)
        for each in range(FOLDS):
            apart = fold == each
            mean, scale = values[~apart].mean(axis=0), values[~apart].std(axis=0) + 1e-9
            model = regression()(C=PENALTY).fit((values[~apart] - mean) / scale, stopped[~apart])
            total[apart] += model.decision_function((values[apart] - mean) / scale)
    return total / repeats


def _folds(rng: np.random.Generator, stopped: Marks) -> NDArray[np.int64]:
    """Those who stopped are shared out evenly."""
    fold = np.empty(stopped.size, np.int64)
    fold[np.lexsort((rng.random(stopped.size), stopped))] = np.arange(stopped.size) % FOLDS
    return fold


def _gained(full: Floats, counts: Floats, stopped: Marks, seed: int, resamples: int) -> Interval:
    """Paired: the same people drawn for both."""
    person, auc = np.arange(stopped.size), MEASURES["auc"]
    drawn = (drawn_again(Tried(person, each, stopped), seed, resamples) for each in (full, counts))
    differences = np.array([auc(*one) - auc(*other) for one, other in zip(*drawn, strict=True)])
    low, high = np.quantile(differences[1:], (0.025, 0.975))
    return Interval(float(differences[0]), float(low), float(high))
