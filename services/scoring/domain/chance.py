"""What chance reaches: evidence, and the share of ordinary sessions with at least as much of it."""

from __future__ import annotations

from bisect import bisect_right
from math import exp, log
from typing import Final

import numpy as np

Rates = tuple[tuple[float, float], ...]
"""(Share of ordinary sessions, evidence that so many reach), shares falling."""
_FINEST: Final = 1e-5


def rate(rates: Rates, log_ratio: float) -> float:
    """The share of ordinary sessions with at least this evidence, its logarithm linear between the known points.

    >>> known = ((0.1, 1.0), (0.01, 3.0), (0.001, 5.0))
    >>> [round(rate(known, each), 4) for each in (-2.0, 1.0, 2.0, 3.0, 6.0)]
    [1.0, 0.1, 0.0316, 0.01, 0.0003]
    """
    if not rates or log_ratio < rates[0][1]:
        return 1.0
    place = min(bisect_right(rates, log_ratio, key=lambda each: each[1]), len(rates) - 1)
    (share, at), (next_share, next_at) = rates[place - 1] if place else rates[0], rates[place]
    if next_at <= at:
        return share
    slope = log(next_share / share) / (next_at - at)
    return max(_FINEST, exp(log(share) + slope * (log_ratio - at)))


def evidence_at(rates: Rates, share: float) -> float:
    """The evidence that this share of ordinary sessions reaches: `rate` turned round.

    >>> round(evidence_at(((0.1, 1.0), (0.01, 3.0), (0.001, 5.0)), 0.0316228), 3)
    2.0
    """
    logs = [-log(each) for each, _ in rates]
    return float(np.interp(-log(share), logs, [at for _, at in rates]))
