"""All rules beside the default: at equal false alarms where a rule has a dial, else at its own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from services.lab.bootstrap import Band, Draws, Interval, interval, resamples, simultaneous
from services.lab.evaluate import (
    CELLS,
    TARGETS,
    Burden,
    Thresholds,
    burdens,
    clean_sessions,
    false_alarms,
    membership,
    sensitivity,
    thresholds,
)
from services.lab.population import Floats
from services.lab.rules import DEFAULT_RULE, YES, Rule
from services.lab.tried import Told, Tried, over_cores
from services.lab.truth import Places, Truth

FEWEST_RUPTURES: Final = 30
"""A cell with fewer is not compared."""
_SEED: Final = 20_262


@dataclass(frozen=True, slots=True)
class Outcome:
    """One rule. Rows are resamples, row 0 the caseload; columns are `TARGETS`, or the one rate of a yes/no rule."""

    name: str
    dialled: bool
    false_alarms: Floats
    sensitivity: Floats
    """Resamples by targets by `CELLS`."""
    burdens: tuple[Burden, ...]
    thresholds: tuple[float, ...]


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
    """`ruptures`: how many each cell has. `beside`: every rule and cell compared, one simultaneous band over all."""

    clients: int
    sessions: int
    resamples: int
    ruptures: Places
    outcomes: tuple[Outcome, ...]
    beside: tuple[Beside, ...]
    multiple: float

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
    rates: Floats | None
    """Further rates at which the default is wanted; a row for each resample."""


def compare(found: Tried, count: int, cores: int, told: Told = lambda: None) -> Comparison:
    """`count` resamples by client, the same ones for every rule."""
    others = [rule for rule in found.rules if rule.name != DEFAULT_RULE]
    outcomes = _outcomes(found, [(rule, None) for rule in others], count, cores, told)
    own = [each.false_alarms for each in outcomes if not each.dialled]
    default = next(rule for rule in found.rules if rule.name == DEFAULT_RULE)
    [first] = _outcomes(found, [(default, np.hstack(own))], count, 1, told)
    return _gathered(found.truth, first, outcomes, count)


def _outcomes(
    found: Tried, wanted: list[tuple[Rule, Floats | None]], count: int, cores: int, told: Told
) -> list[Outcome]:
    jobs = [_Job(found.truth, found.evidence[rule.name], rule.name, rule.dial, rates) for rule, rates in wanted]
    made = []
    for outcome in over_cores(partial(_outcome, count), jobs, cores):
        made.append(outcome)
        told()
    return made


def _outcome(count: int, job: _Job) -> Outcome:
    draws = resamples(_SEED, job.truth.clients, count)
    rates, at = _placed(job, draws)
    caught = sensitivity(job.truth, job.evidence, draws, at)
    shown = len(TARGETS) if job.dial is not None else 1
    costs = burdens(job.truth, job.evidence, draws, at, shown)
    return Outcome(job.name, job.dial is not None, rates, caught, costs, tuple(at.at[0].tolist()))


def _placed(job: _Job, draws: Draws) -> tuple[Floats, Thresholds]:
    """The rates of false alarms, and the thresholds that give them."""
    if job.dial is None:
        own = false_alarms(job.truth, job.evidence, YES, draws)[:, None]
        return own, Thresholds(np.full(own.shape, YES), np.zeros(own.shape))
    rates = np.tile(TARGETS, (len(draws), 1))
    if job.rates is not None:
        rates = np.hstack((rates, job.rates))
    clean = clean_sessions(job.truth, job.evidence, float(rates.max()))
    return rates, thresholds(job.truth, clean, draws, rates)


def _gathered(truth: Truth, default: Outcome, others: list[Outcome], count: int) -> Comparison:
    ruptures = membership(truth).sum(axis=0).astype(np.int64)
    enough = np.flatnonzero(ruptures >= FEWEST_RUPTURES)
    labels, columns = _differences(default, others, enough)
    band = simultaneous(np.column_stack(columns))
    beside = tuple(_beside(label, band, place, ruptures) for place, label in enumerate(labels))
    return Comparison(truth.clients, truth.sessions, count, ruptures, (default, *others), beside, band.multiple)


_Label = tuple[str, float, int]
"""Rule, false alarms, cell."""


def _differences(default: Outcome, others: list[Outcome], cells: Places) -> tuple[list[_Label], list[Floats]]:
    labels: list[_Label] = []
    columns: list[Floats] = []
    extra = len(TARGETS)
    for other in others:
        for column in range(other.false_alarms.shape[1]):
            against = column if other.dialled else extra
            for cell in cells.tolist():
                labels.append((other.name, float(other.false_alarms[0, column]), cell))
                columns.append(other.sensitivity[:, column, cell] - default.sensitivity[:, against, cell])
        extra += not other.dialled
    return labels, columns


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
