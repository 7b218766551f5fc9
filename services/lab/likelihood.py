"""How likely a clinic's ratings are under the detectors' own model, and the parameters under which they are likeliest.

Levels `N(mu0, sb^2)` between clients, ratings `N(theta, sw^2)` within one, cut off at the scale's ends; and a share of
sessions that lie lower, so that ruptures do not pass for spread. Scores run upwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.instruments import Instrument
from services.lab.ordinary import Floats
from services.scoring.domain.config import DEFAULT, upwards

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_LEVELS: Final = 61


class Ratings(NamedTuple):
    """Of many clients, a row for each, and how many of each row count."""

    rows: Floats
    lengths: NDArray[np.int64]

    @property
    def given(self) -> NDArray[np.bool_]:
        """What counts."""
        counted: NDArray[np.bool_] = np.arange(self.rows.shape[1]) < self.lengths[:, None]
        return counted

    def first(self, clients: int) -> Ratings:
        return Ratings(self.rows[:clients], self.lengths[:clients])


class Shape(NamedTuple):
    """What the likelihood is over: points of the scale, upwards; `strained` is the share of sessions that lie lower."""

    mu0: float
    sb: float
    sw: float
    strained: float


def most_likely(instrument: Instrument, ratings: Ratings) -> tuple[Shape, float]:
    """The shape under which these ratings are likeliest, and the mean log-likelihood of a rating."""
    from scipy.optimize import minimize  # noqa: PLC0415 - the laboratory's extra

    counts = counts_of(instrument, ratings)
    begin = np.array([upwards(instrument, instrument.prior.mu0), instrument.prior.sb, instrument.prior.sw])

    def shape_of(at: Floats) -> Shape:
        sb, sw = begin[1:] * np.exp(at[1:3])
        return Shape(float(begin[0] + at[0] * begin[1]), float(sb), float(sw), float(0.2 / (1 + np.exp(-at[3]))))

    def loss(at: Floats) -> float:
        return -log_likelihood(instrument, shape_of(at), counts) + 1e-3 * float(at @ at)

    best = minimize(loss, np.array([0.0, 0.0, 0.0, -1.0]), method="L-BFGS-B", options={"eps": 1e-4})
    return shape_of(best.x), -float(best.fun)


def counts_of(instrument: Instrument, ratings: Ratings) -> csr_matrix:
    """How often each client gave each value of the scale: a likelihood asks for no more."""
    from scipy.sparse import csr_matrix  # noqa: PLC0415 - the laboratory's extra

    scale = instrument.total
    places = np.rint((ratings.rows[ratings.given] - scale.low) / scale.step).astype(int)
    shape = (len(ratings.rows), round(scale.span / scale.step) + 1)
    return csr_matrix((np.ones(len(places)), (np.nonzero(ratings.given)[0], places)), shape=shape)


def log_likelihood(instrument: Instrument, shape: Shape, counts: csr_matrix) -> float:
    """Mean over ratings, up to the width of the scale's steps."""
    theta = np.linspace(shape.mu0 - 5 * shape.sb, shape.mu0 + 5 * shape.sb, _LEVELS)
    prior = -((theta - shape.mu0) ** 2) / (2 * shape.sb**2)
    joint = counts @ _table(instrument, shape, theta) + (prior - np.logaddexp.reduce(prior))
    highest = joint.max(axis=1, keepdims=True)
    clients = highest[:, 0] + np.log(np.exp(joint - highest).sum(axis=1))
    return float(clients.sum() / counts.sum())


def _table(instrument: Instrument, shape: Shape, theta: Floats) -> Floats:
    """The logarithm of each value's likelihood at each level, strained sessions mixed in."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(3)
    falls = DEFAULT.change.fall_share * instrument.total.span * np.exp(DEFAULT.change.fall_spread * nodes)
    strained: Floats = sum(
        weight * np.exp(_normal(instrument, shape.sw, theta - fall))
        for fall, weight in zip(falls, weights / weights.sum(), strict=True)
    )
    ordinary = np.exp(_normal(instrument, shape.sw, theta))
    found: Floats = np.log((1 - shape.strained) * ordinary + shape.strained * strained + 1e-300)
    return found


def _normal(instrument: Instrument, sw: float, theta: Floats) -> Floats:
    from scipy.special import log_ndtr  # noqa: PLC0415 - the laboratory's extra

    scale = instrument.total
    half, count = scale.step / 2, round(scale.span / scale.step) + 1
    values = np.linspace(scale.low, scale.high, count)
    rows: Floats = np.log(scale.step / sw / np.sqrt(2 * np.pi)) - ((values[:, None] - theta) / sw) ** 2 / 2
    rows[0] = log_ndtr((scale.low + half - theta) / sw)
    rows[-1] = log_ndtr((theta - scale.high + half) / sw)
    return rows
