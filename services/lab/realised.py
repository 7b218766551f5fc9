"""Chance as a clinic's own ratings have it: simulated rates, held against how often the evidence is really reached.

What is reached in real sessions is reached by chance or because something has changed. How much of it a change explains
is taken from simulated sessions like the clinic's; the rest is chance, whatever its cause: heavy tails, unlike clients,
memory. Where that is more or less than the simulation has, evidence is asked for accordingly.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from services.lab.calibrate import SHARES, Rates
from services.lab.population import Floats, Marks

COMPARED: Final = (0.05, 0.03, 0.02, 0.01, 0.005)
"""Shares at which simulated and real are compared: below, too few real sessions reach it."""
LEAST: Final = 0.2
"""Of what was simulated: chance is never taken to be rarer than that."""
UNSURE_OF_CHANGES: Final = 0.3
"""How far what is explained by changes may be off, as a share of it: how many ruptures a clinic has is assumed."""
CLUSTERED: Final = 1.5
"""Sessions of one client go together: how much wider that makes the error of a count."""
USUAL_LEVEL: Final = 0.4
USUAL_SLOPE: Final = 0.25
"""How unlike their simulation clinics are beforehand (SD of the factor's logarithm), and how that grows with rarity."""


class Reached(NamedTuple):
    """Evidence of every session, first ones minus infinity; `ordinary`: simulated ones where nothing is the matter."""

    real: Floats
    simulated: Floats
    ordinary: Marks


class Corrected(NamedTuple):
    """The rates, and by how much chance is more frequent than simulated where it is simulated as 1 %."""

    rates: Rates
    factor: float


def corrected(reached: Reached) -> Corrected:
    """The evidence that so many ordinary sessions reach."""
    chance = np.sort(reached.simulated[reached.ordinary])[::-1]
    level, slope = _likeliest(*_factors(reached, chance))

    def factor(share: float) -> float:
        return float(np.exp(level + slope * _rarity(share)))

    found, last = [], int(np.isfinite(chance).sum()) - 1
    for share in SHARES:
        place = min(int(share / factor(share) * chance.size), last)
        found.append((share, round(float(chance[place]), 4)))
    return Corrected(tuple(found), factor(0.01))


def _rarity(share: float) -> float:
    return float(np.log(0.01 / share))


def _factors(reached: Reached, chance: Floats) -> tuple[Floats, Floats]:
    """At each compared share, the logarithm of real chance over simulated, and its error."""
    lines = [chance[int(share * chance.size)] for share in COMPARED]
    changed, clean = reached.simulated[~reached.ordinary], float(reached.ordinary.mean())
    real = np.array([(reached.real >= line).mean() for line in lines])
    explained = np.array([(changed >= line).sum() / reached.simulated.size for line in lines])
    left = np.maximum(real - explained, LEAST * clean * np.array(COMPARED))
    counted = CLUSTERED * np.sqrt(real / reached.real.size)
    return np.log(left / clean / COMPARED), np.hypot(counted, UNSURE_OF_CHANGES * explained) / left


def _likeliest(factors: Floats, errors: Floats) -> tuple[float, float]:
    """Level at 1 % and slope with rarity, between what was seen and none. Errors go together: each has a share."""
    design = np.column_stack((np.ones(factors.size), [_rarity(share) for share in COMPARED]))
    weights = 1 / (errors**2 * factors.size)
    prior = np.diag((USUAL_LEVEL**-2, USUAL_SLOPE**-2))
    level, slope = np.linalg.solve((design.T * weights) @ design + prior, (design.T * weights) @ factors)
    return float(level), float(slope)
