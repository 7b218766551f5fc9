"""Run rules on a client's own residuals, low side: for where centre and spread are not known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from services.scoring.domain import residuals, runs

STATE_VERSION = 1


@dataclass(frozen=True, slots=True)
class Config:
    """`usual` in points; `chart` in SDs (centre 0, sigma 1)."""

    usual: residuals.Config
    chart: runs.Config


class State(NamedTuple):
    baseline: residuals.State
    chart: runs.State
    version: int = STATE_VERSION


class Reading(NamedTuple):
    """The residual, and which rules it completes; none for the first rating."""

    residual: residuals.Reading
    chart: runs.Reading | None
    reason: str


def start(config: Config) -> State:
    return State(residuals.start(config.usual), runs.start(config.chart))


def step(config: Config, state: State, score: float) -> tuple[State, Reading]:
    """Take in one rating.

    >>> own = Config(residuals.Config(37, 1.5, 2.2, 6), runs.Config(0, 1, side="low"))
    >>> state = start(own)
    >>> for score in (38.0, 38.0, 32.0, 31.0):
    ...     state, reading = step(own, state, score)
    >>> reading.chart.western, reading.reason
    ((2,), '2 of the last 3 ratings more than 2 SD below')
    """
    baseline, residual = residuals.step(config.usual, state.baseline, score)
    if residual.below_sds is None:
        return State(baseline, state.chart), Reading(residual, None, residual.reason)
    chart, told = runs.step(config.chart, state.chart, -residual.below_sds)
    return State(baseline, chart), Reading(residual, told, told.reason)
