"""Seeded courses of SRS ratings with known ruptures. Its results are simulation, never clinical evidence.

A latent level per client, an autocorrelated state per session, ruptures by hazard (some concealed, some lasting), four
items with noise cut off at the scale's ends, and drop-out that low ratings make likelier. Calibrated on published
marginals: mean 37.8, SD 2.8, 32 % perfect scores, 22 % below 36, median 7 sessions, 27 % drop-out. This is appendix A
of the specification, bit for bit; a population with a `variety` is `services.lab.varied`'s.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.random import Generator

from services.lab.population import TYPICAL, Course, Floats, Marks, Population, Ruptures, Shape, Variety
from services.lab.varied import varied

__all__ = ["TYPICAL", "Course", "Floats", "Marks", "Population", "Shape", "Variety", "simulate"]

_BRIEF: Final = (1.0,)
_FADING: Final = (1.0, 0.6, 0.3)


def simulate(seed: int, clients: int, population: Population = TYPICAL) -> list[Course]:
    """So many courses; the same seed gives the same courses, bit for bit."""
    if population.variety is not None:
        return varied(seed, clients, population, population.variety)
    rng = np.random.default_rng(seed)
    return [_course(rng, population) for _ in range(clients)]


def _course(rng: Generator, population: Population) -> Course:
    planned = min(population.longest, 2 + int(rng.negative_binomial(2, 0.2)))
    level = population.mean + population.between_sd * rng.standard_normal()
    state = population.within_sd * rng.standard_normal()
    ruptures = _ruptures(rng, population, planned)
    items = _items(rng, population, level, state, ruptures.effect)
    totals = [round(float(sum(answers)), 1) for answers in items]
    last, dropped_out = _stay(rng, totals, ruptures.active)
    return Course(
        totals=tuple(totals[:last]),
        items=tuple(items[:last]),
        ruptured=tuple(ruptures.active[:last].tolist()),
        expressed=tuple(ruptures.expressed[:last].tolist()),
        onset=tuple(ruptures.onset[:last].tolist()),
        dropped_out=dropped_out,
        shape=tuple(ruptures.shape[:last]),
        falling=tuple(ruptures.falling[:last].tolist()),
    )


def _ruptures(rng: Generator, population: Population, sessions: int) -> Ruptures:
    made = Ruptures(sessions)
    session = 1
    while session < sessions:
        session += _rupture(rng, population, made, session) if rng.random() < population.rupture_hazard else 1
    return made


def _rupture(rng: Generator, population: Population, made: Ruptures, session: int) -> int:
    magnitude = float(np.exp(np.log(6) + 0.45 * rng.standard_normal()))
    concealed = rng.random() < population.concealed_share
    shape, profile = _profile(rng, made.effect.size)
    points = magnitude * (0.1 if concealed else 1.0) * np.array(profile)
    return made.write(session, shape, points, concealed=concealed)


def _profile(rng: Generator, sessions: int) -> tuple[Shape, tuple[float, ...]]:
    """Half pass in one session, a quarter fade, a quarter stay."""
    draw = rng.random()
    if draw < 0.5:
        return "one-session", _BRIEF
    return ("v", _FADING) if draw < 0.75 else ("lasting", (1.0, *[0.8] * sessions))


def _items(
    rng: Generator, population: Population, level: float, state: float, effect: Floats
) -> list[tuple[float, ...]]:
    rated = []
    fresh = population.within_sd * np.sqrt(1 - population.autocorrelation**2)
    for session in range(effect.size):
        state = population.autocorrelation * state + fresh * rng.standard_normal()
        latent = (level + population.growth * np.log(session + 1) + state + effect[session]) / 4
        rated.append(tuple(np.clip(latent + 0.45 * rng.standard_normal(4), 0, 10).round(1).tolist()))
    return rated


def _stay(rng: Generator, totals: list[float], active: Marks) -> tuple[int, bool]:
    """How many sessions the client came to, and whether that was fewer than planned."""
    for session in range(len(totals) - 1):
        past = sum(totals[:session]) / session if session else 37.0
        logit = (
            -3.6
            + 0.10 * max(0.0, 36 - totals[session])
            + 0.06 * max(0.0, past - totals[session])
            + 1.1 * bool(active[session])
            + (0.5 if session < 2 else 0.0)
        )
        if rng.random() < 1 / (1 + np.exp(-logit)):
            return session + 1, True
    return len(totals), False
