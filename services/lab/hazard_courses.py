"""Simulated courses as person-periods, and the hazard that made their dropouts: the ceiling of what can be known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from schemas.instruments import Prior, Source
from services.lab.clinics import instrument_of
from services.lab.hazard_fit import End, Period
from services.lab.population import Course, Floats, Population
from services.lab.seen import scale_of
from services.scoring.domain import hazard, rupture
from services.scoring.domain.config import DEFAULT, SeriesConfig, series_config

_SRS_SPAN: Final = 40.0
_ITS_OWN: Final = Source("the invented clinic's own parameters", "simulated")


def periods(courses: Sequence[Course], population: Population, *, name: str = "") -> Iterator[Period]:
    """Every session of every course; who was not lost ended as planned, which competes.

    The engine knows the clinic's mean and SDs, as after `attune fit`; never a rupture, nor who leaves.
    """
    config = _known(population)
    points = hazard.Config(usual=config.rupture.mu0, unit=config.instrument.total.span / _SRS_SPAN)
    for number, course in enumerate(courses):
        yield from _course(points, config.rupture, course, f"{name}{number}")


def _course(points: hazard.Config, change: rupture.Config, course: Course, person: str) -> Iterator[Period]:
    state, evidence = hazard.start(points), rupture.start(change)
    last = len(course.totals) - 1
    for session, score in enumerate(course.totals):
        evidence, found = rupture.step(change, evidence, score)
        state = hazard.step(points, state, score, found.probability if found else None)
        features = hazard.features(points, state, hazard.Ended(session + 1, rated=True, gap_days=_gap(course, session)))
        yield Period(person, features, _end(course) if session == last else "none", _therapist(course, session))


def _gap(course: Course, session: int) -> float | None:
    return float(course.day[session] - course.day[session - 1]) if course.day and session else None


def _end(course: Course) -> End:
    return "dropped-out" if course.dropped_out else "other-end"


def _therapist(course: Course, session: int) -> str | None:
    return str(course.therapist[session]) if course.therapist else None


def _known(population: Population) -> SeriesConfig:
    """The engine's configuration with the clinic's own prior, as `attune fit` would have it."""
    key = instrument_of(population)
    prior = Prior(population.mean, population.between_sd, population.within_sd, _ITS_OWN)
    config = series_config(replace(DEFAULT, priors=((key, prior),)), key)
    assert isinstance(config, SeriesConfig)  # the generator rates with known instruments alone
    return config


def true_logits(courses: Sequence[Course], population: Population) -> Floats:
    """What the generator itself drew each dropout with (`generator._stay`, `varied._stay`), session after session.

    Exact where every session was rated; elsewhere the ratings that are there stand for all.
    """
    unit = scale_of(DEFAULT, instrument_of(population)).instrument.total.span / _SRS_SPAN
    return np.array([logit for course in courses for logit in _true(course, population, unit)])


RUPTURED: Final = 1.1
"""What a rupture that is going on adds to the logit of leaving, in the generators."""


def _true(course: Course, population: Population, unit: float) -> Iterator[float]:
    variety = population.variety
    line, usual = (36.0, 37.0) if variety is None else (population.mean - 3 * unit, population.mean - 2 * unit)
    for session, total in enumerate(course.totals):
        past = sum(course.totals[:session]) / session if session else usual
        yield (
            (-3.6 if variety is None else variety.leaving)
            + 0.10 * max(0.0, line - total) / unit
            + 0.06 * max(0.0, past - total) / unit
            + RUPTURED * course.ruptured[session]
            + (0.5 if session < 2 else 0.0)
        )
