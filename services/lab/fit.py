"""A clinic's own parameters, from its own ratings: empirical Bayes, and what chance then reaches.

Maximum likelihood of the detectors' own model (`services.scoring.domain.rupture`): levels `N(mu0, sb^2)` between
clients, ratings `N(theta, sw^2)` within one, cut off at the scale's ends; and a share of sessions that lie lower, so
that ruptures do not pass for spread. The `rates` come from courses simulated to look like the clinic's, with its
autocorrelation, its ruptures and those who leave early. Scores run upwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from schemas.instruments import Instrument, Prior, Source
from services.lab.calibrate import Rates, rates
from services.lab.ordinary import Floats, Ordinary, courses
from services.scoring.domain import rupture
from services.scoring.domain.config import DEFAULT, rupture_config, upwards

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

ENOUGH_CLIENTS: Final = 200
SIMULATED: Final = 20_000
_COMPARED: Final = 4_000
CORRELATIONS: Final = (0.0, 0.2, 0.4, 0.6, 0.8)
_STEPS: Final = 2
_LEVELS: Final = 61
_ONSETS_PER_STRAINED: Final = 0.5
"""A rupture lasts two sessions or so."""
Series = Sequence[Sequence[float]]


class Shape(NamedTuple):
    """What the likelihood is over: points of the scale, upwards; `strained` is the share of sessions that lie lower."""

    mu0: float
    sb: float
    sw: float
    strained: float


class Seen(NamedTuple):
    """Real and simulated ratings, a row for each client, and how many of each row count."""

    rows: Floats
    lengths: NDArray[np.int64]
    simulated: Floats
    drawn: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Fitted:
    """Parameters for one instrument, on its own scale, and how well they describe what they were made from."""

    instrument: str
    mu0: float
    sb: float
    sw: float
    rates: Rates
    card: dict[str, float]


class TooFewClients(ValueError):
    """Empirical Bayes needs clients: with fewer, the shipped prior is the better guess."""

    def __init__(self, instrument: str, clients: int, needed: int) -> None:
        super().__init__(f"{instrument}: {clients} clients with two ratings or more, {needed} are needed")


def fit(instrument: Instrument, series: Series, *, seed: int = 1, at_least: int = ENOUGH_CLIENTS) -> Fitted:
    """The parameters of one instrument in one clinic, from the totals of each client (upwards, in the order of care).

    Raises:
        TooFewClients: fewer than `at_least` clients have two ratings.
    """
    kept = [each for each in series if len(each) > 1]
    if len(kept) < at_least:
        raise TooFewClients(instrument.key, len(kept), at_least)
    rows, lengths = _padded(kept)
    shape, likelihood = most_likely(instrument, rows, lengths)
    clinic = _alike(instrument, shape, rows, lengths, seed)
    rng = np.random.default_rng([seed, 2])
    simulated, ordinary, drawn = _simulated(rng, clinic, instrument, rows, lengths)
    found = rates(_detector(instrument, shape), simulated, ordinary, drawn)
    return Fitted(
        instrument=instrument.key,
        mu0=round(upwards(instrument, shape.mu0), 4),
        sb=round(shape.sb, 4),
        sw=round(shape.sw, 4),
        rates=found,
        card=_card(instrument, shape, likelihood, clinic, Seen(rows, lengths, simulated, drawn)),
    )


def most_likely(instrument: Instrument, rows: Floats, lengths: NDArray[np.int64]) -> tuple[Shape, float]:
    """The shape under which these ratings are likeliest, and the mean log-likelihood of a rating."""
    from scipy.optimize import minimize  # noqa: PLC0415 - the laboratory's extra

    counts = _counts(instrument, rows, lengths)
    begin = np.array([upwards(instrument, instrument.prior.mu0), instrument.prior.sb, instrument.prior.sw])

    def shape_of(at: Floats) -> Shape:
        sb, sw = begin[1:] * np.exp(at[1:3])
        return Shape(float(begin[0] + at[0] * begin[1]), float(sb), float(sw), float(0.2 / (1 + np.exp(-at[3]))))

    def loss(at: Floats) -> float:
        return -_log_likelihood(instrument, shape_of(at), counts) + 1e-3 * float(at @ at)

    best = minimize(loss, np.array([0.0, 0.0, 0.0, -1.0]), method="Nelder-Mead", options={"xatol": 2e-3, "fatol": 1e-5})
    return shape_of(best.x), -float(best.fun)


def _counts(instrument: Instrument, rows: Floats, lengths: NDArray[np.int64]) -> csr_matrix:
    """How often each client gave each value of the scale: a likelihood asks for no more."""
    from scipy.sparse import csr_matrix  # noqa: PLC0415 - the laboratory's extra

    scale = instrument.total
    given = np.arange(rows.shape[1]) < lengths[:, None]
    places = np.rint((rows[given] - scale.low) / scale.step).astype(int)
    shape = (len(rows), round(scale.span / scale.step) + 1)
    return csr_matrix((np.ones(len(places)), (np.nonzero(given)[0], places)), shape=shape)


def _log_likelihood(instrument: Instrument, shape: Shape, counts: csr_matrix) -> float:
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


def _detector(instrument: Instrument, shape: Shape) -> rupture.Config:
    prior = Prior(
        upwards(instrument, shape.mu0), shape.sb, shape.sw, Source("fitted to a clinic's own ratings", "computed")
    )
    return rupture_config(DEFAULT, instrument, prior)


# ----------------------------------------------------------------------- ordinary courses that look like the clinic's


def _alike(instrument: Instrument, shape: Shape, rows: Floats, lengths: NDArray[np.int64], seed: int) -> Ordinary:
    """Indirect inference: the ordinary clinic whose simulated ratings give the same estimates as the real ones."""
    clinic = Ordinary(shape.mu0, shape.sb, shape.sw, 0.0, 0.0, rupture_hazard=_ONSETS_PER_STRAINED * shape.strained)
    clinic = replace(clinic, autocorrelation=_correlated(instrument, clinic, rows, lengths, seed))
    for _ in range(_STEPS):
        made, _, drawn = _simulated(np.random.default_rng([seed, 1]), clinic, instrument, rows, lengths)
        again, _likelihood = most_likely(instrument, made[:_COMPARED], drawn[:_COMPARED])
        clinic = replace(
            clinic,
            mean=clinic.mean + shape.mu0 - again.mu0,
            between_sd=clinic.between_sd * shape.sb / again.sb,
            within_sd=clinic.within_sd * shape.sw / again.sw,
        )
    return clinic


def _simulated(
    rng: Generator, clinic: Ordinary, instrument: Instrument, rows: Floats, lengths: NDArray[np.int64]
) -> tuple[Floats, NDArray[np.bool_], NDArray[np.int64]]:
    """Courses like the clinic's: who rates low at first comes as often as those of the clinic who do."""
    longest = np.full(SIMULATED, int(lengths.max()))
    made, ordinary = courses(rng, clinic, instrument, longest)
    drawn = rng.choice(len(lengths), SIMULATED)
    in_order = drawn[np.argsort(rows[drawn, :2].sum(axis=1), kind="stable")]
    stays = np.empty(SIMULATED, int)
    stays[np.argsort(made[:, :2].sum(axis=1), kind="stable")] = lengths[in_order]
    return made, ordinary, stays


def _correlated(instrument: Instrument, clinic: Ordinary, rows: Floats, lengths: NDArray[np.int64], seed: int) -> float:
    """The autocorrelation whose simulated courses resemble themselves from session to session as the real ones do."""
    seen = []
    for each in CORRELATIONS:
        like = replace(clinic, autocorrelation=each)
        made, _, drawn = _simulated(np.random.default_rng([seed, 3]), like, instrument, rows, lengths)
        seen.append(_lagged(made, drawn))
    return float(np.interp(_lagged(rows, lengths), seen, CORRELATIONS))


def _lagged(rows: Floats, lengths: NDArray[np.int64]) -> float:
    """Product of neighbouring deviations from a client's own mean, over their variance; from four ratings on."""
    long = lengths >= 4
    given = np.arange(rows.shape[1]) < lengths[long, None]
    own = np.where(given, rows[long], 0).sum(axis=1) / lengths[long]
    off = np.where(given, rows[long] - own[:, None], 0)
    return float((off[:, 1:] * off[:, :-1]).sum() / max(float((off**2).sum()), 1e-9))


def _padded(series: Series) -> tuple[Floats, NDArray[np.int64]]:
    lengths = np.array([len(each) for each in series])
    rows = np.zeros((len(series), int(lengths.max())))
    for row, each in zip(rows, series, strict=True):
        row[: len(each)] = each
    return rows, lengths


def _card(instrument: Instrument, shape: Shape, likelihood: float, clinic: Ordinary, seen: Seen) -> dict[str, float]:
    """What it was made from, whether it beats the shipped prior, and whether simulated ratings look like the real."""
    prior = instrument.prior
    before = Shape(upwards(instrument, prior.mu0), prior.sb, prior.sw, 0.02)
    counts = _counts(instrument, seen.rows, seen.lengths)
    real, made = _marginals(instrument, seen.rows, seen.lengths), _marginals(instrument, seen.simulated, seen.drawn)
    told = {
        "clients": float(len(seen.lengths)),
        "ratings": float(seen.lengths.sum()),
        "strained_share": shape.strained,
        "autocorrelation": clinic.autocorrelation,
        "log_likelihood_a_rating": likelihood,
        "log_likelihood_a_rating_shipped": _log_likelihood(instrument, before, counts),
        **{f"{name}_real": value for name, value in real.items()},
        **{f"{name}_simulated": value for name, value in made.items()},
    }
    return {name: round(value, 4) for name, value in told.items()}


def _marginals(instrument: Instrument, rows: Floats, lengths: NDArray[np.int64]) -> dict[str, float]:
    seen = rows[np.arange(rows.shape[1]) < lengths[:, None]]
    top = instrument.total.high - instrument.total.step / 2
    return {"mean": float(seen.mean()), "sd": float(seen.std()), "at_best": float((seen >= top).mean())}
