"""The bootstrap by client: whole clients are drawn again, because one client's sessions are not independent.

A resample is how often each client was drawn. Row 0 of the resamples is the caseload itself, every client once, so
that the estimate and all its resamples come out of one computation.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.lab.population import Floats, Marks

Draws = NDArray[np.uint8]

_AT_ONCE = 4_000_000
"""Numbers of a product that are made floating point at once."""


def weigh(draws: Draws, per_client: Floats) -> Floats:
    """For each resample: the sum over its clients, each as often as drawn.

    >>> weigh(np.array([[1, 1, 1], [0, 2, 1]], np.uint8), np.array([1.0, 10.0, 100.0])).tolist()
    [111.0, 120.0]
    """
    return np.concatenate([part @ per_client for part in np.array_split(draws, 1 + draws.size // _AT_ONCE)])


class Interval(NamedTuple):
    """An estimate and its 95 % interval; all NaN where there was nothing to count."""

    estimate: float
    low: float
    high: float


def resamples(seed: int, clients: int, count: int) -> Draws:
    """`count` resamples below the caseload itself.

    >>> drawn = resamples(1, clients=5, count=3)
    >>> drawn[0].tolist(), drawn.sum(axis=1).tolist()
    ([1, 1, 1, 1, 1], [5, 5, 5, 5])
    """
    rng = np.random.default_rng([seed, clients])
    rows = np.ones((count + 1, clients), np.uint8)
    for row in range(1, count + 1):
        rows[row] = np.bincount(rng.integers(clients, size=clients), minlength=clients)
    return rows


def interval(values: Floats) -> Interval:
    """Row 0 with the percentile interval of the other rows.

    >>> [round(each, 3) for each in interval(np.array([0.5, *np.linspace(0, 1, 41)]))]
    [0.5, 0.025, 0.975]
    """
    known = values[1:][np.isfinite(values[1:])]
    if not known.size or not np.isfinite(values[0]):
        return Interval(float(values[0]), float("nan"), float("nan"))
    low, high = np.quantile(known, (0.025, 0.975))
    return Interval(float(values[0]), float(low), float(high))


class Band(NamedTuple):
    """Differences with a 95 % band that holds for all of them at once; `multiple`: half its width in SEs."""

    estimate: Floats
    low: Floats
    high: Floats
    multiple: float

    @property
    def above(self) -> Marks:
        """Where the whole band is above 0."""
        return np.asarray(np.nan_to_num(self.low, nan=-1.0) > 0)


def simultaneous(differences: Floats) -> Band:
    """A band over all columns by the largest studentised deviation of each resample; row 0 is the estimate.

    A column that never varies has a band of no width and takes no part in finding the multiple.
    """
    estimate, drawn = differences[0], differences[1:]
    error = np.nanstd(drawn, axis=0)
    varies = error > 1e-12
    deviation = np.abs(drawn[:, varies] - estimate[varies]) / error[varies]
    multiple = float(np.quantile(np.nanmax(deviation, axis=1), 0.95)) if varies.any() else 0.0
    return Band(estimate, estimate - multiple * error, estimate + multiple * error, multiple)
