"""The normal distribution's tail where its own function is nearly 0."""

from __future__ import annotations

from math import erfc, log, pi, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
TABLES_KEPT: Final = 1_024
"""Of each kind: a clinic whose parameters are its own needs one for each instrument, 1 MB where it has tenths."""


def log_above(z: Floats) -> Floats:
    """Logarithm of P(N(0,1) > z), for each z."""
    return np.array([log_survival(each) for each in z.tolist()])


def log_survival(z: float) -> float:
    """Logarithm of P(N(0,1) > z); past 30 SD by its asymptote, where the function itself is nearly 0.

    >>> round(log_survival(0.0), 6), round(log_survival(31.0) - log_survival(30.0))
    (-0.693147, -31)
    """
    if z > 30:
        return -z * z / 2 - log(z * sqrt(2 * pi))
    return log(0.5 * erfc(z / sqrt(2)))
