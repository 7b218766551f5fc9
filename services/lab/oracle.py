"""The bound: a particle filter that knows the generator of appendix A, and sees every item.

Each particle is a client that might be: a level, a state, and a rupture of known shape, size and age, or none. Onsets
are proposed more often than they occur and weighed down again, so that a few hundred particles see them. What it says
is the best that anybody could say of "a rupture began in the last two sessions", and of "began now", up to its
own sampling error. It is no rule for a clinic: it knows what no clinic can.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from services.lab.population import TYPICAL, Course, Floats, Population

PARTICLES: Final = 1_000
_PROPOSED: Final = 0.25
"""How often an onset is proposed."""
_NEVER: Final = 99
_JITTER: Final = 0.02
_ITEM_SD: Final = 0.45
_HALF_STEP: Final = 0.05
_PROFILES: Final = np.array([[1.0, 0.0, 0.0, 0.0], [1.0, 0.6, 0.3, 0.0], [1.0, 0.8, 0.8, 0.8]])
"""By age, the last column for all that follow: one session, fading, staying."""
_LASTS: Final = np.array([1, 3, 10_000])
_SHARES: Final = np.array([0.5, 0.75])


class Bound(NamedTuple):
    """Per course and session; NaN in the first, in which nothing begins."""

    recently: list[Floats]
    """The probability that a rupture began in this session or the one before."""
    now: list[Floats]
    """That one began in this session."""
    active: list[Floats]
    """That one is going on, shown or concealed; 0 in the first."""


@dataclass(slots=True)
class _Cloud:
    """Particles of several clients: rows are clients. `age`: sessions since the onset of an active rupture, or -1."""

    level: Floats
    state: Floats
    shape: NDArray[np.int64]
    age: NDArray[np.int64]
    size: Floats
    since: NDArray[np.int64]
    log_weight: Floats

    @classmethod
    def of(cls, rng: Generator, clinic: Population, clients: int, particles: int) -> _Cloud:
        size = (clients, particles)
        return cls(
            clinic.mean + clinic.between_sd * rng.standard_normal(size),
            clinic.within_sd * rng.standard_normal(size),
            np.zeros(size, np.int64),
            np.full(size, -1),
            np.zeros(size),
            np.full(size, _NEVER),
            np.zeros(size),
        )


def bound(
    seed: int,
    courses: Sequence[Course],
    clinic: Population = TYPICAL,
    particles: int = PARTICLES,
    sessions: int | None = None,
) -> Bound:
    """What can be known of each session, from it and those before it; of the first so many `sessions`, or of all."""
    rng = np.random.default_rng(seed)
    longest = min(sessions or 10_000, max(len(course.totals) for course in courses))
    items = np.full((len(courses), longest, 4), np.nan)
    for row, course in zip(items, courses, strict=True):
        row[: len(course.items)] = course.items[:longest]
    cloud = _Cloud.of(rng, clinic, len(courses), particles)
    recently, now = (np.full((len(courses), longest), np.nan) for _ in range(2))
    active = np.zeros((len(courses), longest))
    for session in range(longest):
        _move(rng, cloud, clinic, session)
        weights = _weigh(cloud, clinic, items[:, session], session)
        if session:
            recently[:, session] = (weights * (cloud.since <= 1)).sum(axis=1)
            now[:, session] = (weights * (cloud.since == 0)).sum(axis=1)
            active[:, session] = (weights * (cloud.age >= 0)).sum(axis=1)
        _resample(rng, cloud, weights)
    ends = [len(course.totals) for course in courses]
    return Bound(*([row[:end] for row, end in zip(each, ends, strict=True)] for each in (recently, now, active)))


def _move(rng: Generator, cloud: _Cloud, clinic: Population, session: int) -> None:
    """The state goes on; ruptures age, end and begin."""
    fresh = clinic.within_sd * np.sqrt(1 - clinic.autocorrelation**2)
    cloud.state = clinic.autocorrelation * cloud.state + fresh * _noise(rng, clinic, cloud.state.shape)
    if session == 0:
        return
    cloud.since += 1
    cloud.age = np.where(cloud.age >= 0, cloud.age + 1, -1)
    cloud.age = np.where(cloud.age >= _LASTS[cloud.shape], -1, cloud.age)
    free = cloud.age < 0
    begins = free & (rng.random(free.shape) < _PROPOSED)
    hazard = clinic.rupture_hazard
    change = np.where(begins, np.log(hazard / _PROPOSED), np.log((1 - hazard) / (1 - _PROPOSED)))
    cloud.log_weight += np.where(free, change, 0.0)
    size = np.exp(np.log(6) + 0.45 * rng.standard_normal(free.shape))
    size *= np.where(rng.random(free.shape) < clinic.concealed_share, 0.1, 1.0)
    cloud.size = np.where(begins, size, cloud.size)
    cloud.shape = np.where(begins, np.searchsorted(_SHARES, rng.random(free.shape), side="right"), cloud.shape)
    cloud.age, cloud.since = np.where(begins, 0, cloud.age), np.where(begins, 0, cloud.since)


def _noise(rng: Generator, clinic: Population, shape: tuple[int, ...]) -> Floats:
    """As the generators draw it: normal, or with the tails of a clinic that has them."""
    tails = clinic.variety.tails if clinic.variety else None
    if tails is None:
        return rng.standard_normal(shape)
    return np.asarray(rng.standard_t(tails, shape) / np.sqrt(tails / (tails - 2)))


def _weigh(cloud: _Cloud, clinic: Population, given: Floats, session: int) -> Floats:
    """The items' likelihood, cut off at both ends of their lines; clients who are gone keep their weights."""
    from scipy.special import log_ndtr  # noqa: PLC0415 - the laboratory's extra

    effect = np.where(cloud.age >= 0, cloud.size * _PROFILES[cloud.shape, np.clip(cloud.age, 0, 3)], 0.0)
    latent = (cloud.level + clinic.growth * np.log(session + 1) + cloud.state - effect) / 4
    for item in given.T:
        seen = item[:, None]
        off = (seen - latent) / _ITEM_SD
        within = -(off**2) / 2 + np.log(2 * _HALF_STEP / _ITEM_SD / np.sqrt(2 * np.pi))
        top = log_ndtr((latent - 10 + _HALF_STEP) / _ITEM_SD)
        bottom = log_ndtr((_HALF_STEP - latent) / _ITEM_SD)
        likely = np.where(seen >= 10 - _HALF_STEP, top, np.where(seen <= _HALF_STEP, bottom, within))
        cloud.log_weight += np.where(np.isnan(seen), 0.0, likely)
    cloud.log_weight -= np.logaddexp.reduce(cloud.log_weight, axis=1, keepdims=True)
    weights: Floats = np.exp(cloud.log_weight)
    return weights


def _resample(rng: Generator, cloud: _Cloud, weights: Floats) -> None:
    """Systematically, where fewer than half of the particles still count."""
    particles = weights.shape[1]
    for row in np.flatnonzero(1 / (weights**2).sum(axis=1) < particles / 2):
        points = (rng.random() + np.arange(particles)) / particles
        kept = np.minimum(np.searchsorted(np.cumsum(weights[row]), points), particles - 1)
        for each in (cloud.level, cloud.state, cloud.shape, cloud.age, cloud.size, cloud.since):
            each[row] = each[row, kept]
        cloud.level[row] += _JITTER * TYPICAL.between_sd * rng.standard_normal(particles)
        cloud.log_weight[row] = -np.log(particles)
