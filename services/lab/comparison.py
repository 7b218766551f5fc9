"""All rules beside the default: at equal false alarms where a rule has a dial, else at its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np

from services.lab.bootstrap import Band, Draws, Interval, interval, resamples, simultaneous
from services.lab.burden import Burden, burdens
from services.lab.evaluate import (
    CELLS,
    TARGETS,
    Caught,
    Thresholds,
    false_alarms,
    membership,
    sensitivity,
    thresholds,
)
from services.lab.population import Floats
from services.lab.rules import DEFAULT_RULE, YES, Rule
from services.lab.tried import Told, Tried, over_cores
from services.lab.truth import ALL, SCOPES, Places, Truth

FEWEST_RUPTURES: Final = 30
"""A cell with fewer is not compared."""
_SEED: Final = 20_262


@dataclass(frozen=True, slots=True)
class Outcome:
    """One rule. Rows are resamples, row 0 the caseload; columns are `TARGETS`, or the one rate of a yes/no rule."""

    name: str
    dialled: bool
    rates: dict[str, Floats]
    """False alarms per clean session of each scope."""
    caught: Caught
    burdens: tuple[Burden, ...]
    thresholds: tuple[float, ...]
    """For all sessions."""

    @property
    def sensitivity(self) -> Floats:
        """Resamples by targets by `CELLS`."""
        return self.caught.within

    @property
    def false_alarms(self) -> Floats:
        return self.rates[ALL]


@dataclass(frozen=True, slots=True)
class Beside:
    """A rule less the default at the same false alarms, in one cell."""

    rule: str
    false_alarms: float
    shape: str
    band: str
    ruptures: int
    difference: float
    low: float
    high: float

    @property
    def beats_the_default(self) -> bool:
        return self.low > 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """`ruptures`: how many each cell has. `beside`: every rule and cell compared, one simultaneous band over all.

    `one_threshold`: the same where one threshold stands for all sessions, in the cells by onset too.
    """

    clients: int
    sessions: int
    resamples: int
    ruptures: Places
    outcomes: tuple[Outcome, ...]
    beside: tuple[Beside, ...]
    multiple: float
    one_threshold: tuple[Beside, ...]

    def sensitivity(self, rule: str, target: int, cell: int) -> Interval:
        """Of one rule at one of its rates in one cell, with its own interval."""
        found = next(each for each in self.outcomes if each.name == rule)
        return interval(found.sensitivity[:, target, cell])


@dataclass(frozen=True, slots=True)
class _Job:
    truth: Truth
    evidence: Floats
    name: str
    dial: float | None
    rates: dict[str, Floats] | None
    """For each scope: further rates at which the default is wanted; a row for each resample."""


def compare(found: Tried, count: int, cores: int, told: Told = lambda: None) -> Comparison:
    """`count` resamples by client, the same ones for every rule."""
    others = [rule for rule in found.rules if rule.name != DEFAULT_RULE]
    outcomes = _outcomes([_job(found, rule) for rule in others], count, cores, told)
    own = [each.rates for each in outcomes if not each.dialled]
    default = next(rule for rule in found.rules if rule.name == DEFAULT_RULE)
    further = {scope: np.hstack([rates[scope] for rates in own]) for scope in SCOPES}
    [first] = _outcomes([replace(_job(found, default), rates=further)], count, 1, told)
    return _gathered(found.truth, first, outcomes, count)


def _job(found: Tried, rule: Rule) -> _Job:
    return _Job(found.truth, found.evidence[rule.name], rule.name, rule.dial, None)


def _outcomes(jobs: list[_Job], count: int, cores: int, told: Told) -> list[Outcome]:
    made = []
    for outcome in over_cores(partial(_outcome, count), jobs, cores):
        made.append(outcome)
        told()
    return made


def _outcome(count: int, job: _Job) -> Outcome:
    draws = resamples(_SEED, job.truth.clients, count)
    placed = {scope: _placed(job, draws, scope) for scope in SCOPES}
    rates = {scope: own for scope, (own, _) in placed.items()}
    at = {scope: found for scope, (_, found) in placed.items()}
    caught = sensitivity(job.truth, job.evidence, draws, at)
    costs = burdens(job.truth, job.evidence, draws, at[ALL], 1 if job.dial is None else len(TARGETS))
    return Outcome(job.name, job.dial is not None, rates, caught, costs, tuple(at[ALL].at[0].tolist()))


def _placed(job: _Job, draws: Draws, scope: str) -> tuple[Floats, Thresholds]:
    """The rates of false alarms, and the thresholds that give them."""
    if job.dial is None:
        own = false_alarms(job.truth, job.evidence, YES, draws, scope)[:, None]
        return own, Thresholds(np.full(own.shape, YES), np.zeros(own.shape))
    rates = np.tile(TARGETS, (len(draws), 1))
    if job.rates is not None:
        rates = np.hstack((rates, job.rates[scope]))
    return rates, thresholds(job.truth, job.evidence, draws, rates, scope)


def _gathered(truth: Truth, default: Outcome, others: list[Outcome], count: int) -> Comparison:
    ruptures = membership(truth).sum(axis=0).astype(np.int64)
    within, multiple = _compared(default, others, ruptures, lambda caught: caught.within)
    one, _ = _compared(default, others, ruptures, lambda caught: caught.one_threshold)
    return Comparison(
        truth.clients, truth.sessions, count, ruptures, (default, *others), tuple(within), multiple, tuple(one)
    )


_Label = tuple[str, float, int]
"""Rule, false alarms, cell."""
_Reading = Callable[[Caught], Floats]


def _compared(
    default: Outcome, others: list[Outcome], ruptures: Places, reading: _Reading
) -> tuple[list[Beside], float]:
    labels, columns = _differences(default, others, np.flatnonzero(ruptures >= FEWEST_RUPTURES), reading)
    if not columns:
        return [], 0.0
    band = simultaneous(np.column_stack(columns))
    return [_beside(label, band, place, ruptures) for place, label in enumerate(labels)], band.multiple


def _differences(
    default: Outcome, others: list[Outcome], cells: Places, reading: _Reading
) -> tuple[list[_Label], list[Floats]]:
    labels: list[_Label] = []
    columns: list[Floats] = []
    usual, extra = reading(default.caught), len(TARGETS)
    for other in others:
        for column in range(other.false_alarms.shape[1]):
            against = column if other.dialled else extra
            for cell in cells.tolist():
                labels.append((other.name, _rate(other, column, cell), cell))
                columns.append(reading(other.caught)[:, column, cell] - usual[:, against, cell])
        extra += not other.dialled
    return labels, columns


def _rate(other: Outcome, column: int, cell: int) -> float:
    """Over the sessions of the cell's own band."""
    return float(other.rates[CELLS[cell][1]][0, column])


def _beside(label: _Label, band: Band, place: int, ruptures: Places) -> Beside:
    rule, rate, cell = label
    shape, when = CELLS[cell]
    return Beside(
        rule=rule,
        false_alarms=rate,
        shape=shape,
        band=when,
        ruptures=int(ruptures[cell]),
        difference=float(band.estimate[place]),
        low=float(band.low[place]),
        high=float(band.high[place]),
    )
