"""A clinic's own parameters, from its own ratings: empirical Bayes, and what chance then reaches.

Maximum likelihood of the detectors' own model (`services.lab.likelihood`); the `rates` come from courses simulated to
look like the clinic's (`services.lab.alike`), and are then held against how often its own sessions reach them
(`services.lab.realised`). Scores run upwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from schemas.instruments import Instrument, Prior, Source
from services.lab.alike import Asked, Simulated, alike, simulated
from services.lab.calibrate import Rates, evidence
from services.lab.likelihood import Ratings, Shape, counts_of, log_likelihood, most_likely
from services.lab.ordinary import Ordinary
from services.lab.realised import Reached, corrected
from services.scoring.domain import rupture
from services.scoring.domain.config import DEFAULT, rupture_config, upwards

ENOUGH_CLIENTS: Final = 200
Series = Sequence[Sequence[float]]


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
    asked = Asked(instrument, _padded(kept), seed)
    shape, likelihood = most_likely(instrument, asked.real)
    clinic = alike(asked, shape)
    made = simulated(np.random.default_rng([seed, 2]), asked, clinic)
    found = corrected(_reached(_detector(instrument, shape), asked.real, made))
    told = (
        {"chance_over_simulated": found.factor}
        | _model(instrument, shape, likelihood, clinic, asked.real)
        | _beside(instrument, asked.real, made.ratings)
    )
    return Fitted(
        instrument=instrument.key,
        mu0=round(upwards(instrument, shape.mu0), 4),
        sb=round(shape.sb, 4),
        sw=round(shape.sw, 4),
        rates=found.rates,
        card={name: round(value, 4) for name, value in told.items()},
    )


def _reached(detector: rupture.Config, real: Ratings, made: Simulated) -> Reached:
    return Reached(
        evidence(detector, real.rows, real.lengths),
        evidence(detector, made.ratings.rows, made.ratings.lengths),
        made.ordinary[made.ratings.given],
    )


def _detector(instrument: Instrument, shape: Shape) -> rupture.Config:
    prior = Prior(
        upwards(instrument, shape.mu0), shape.sb, shape.sw, Source("fitted to a clinic's own ratings", "computed")
    )
    return rupture_config(DEFAULT, instrument, prior)


def _padded(series: Series) -> Ratings:
    lengths = np.array([len(each) for each in series])
    rows = np.zeros((len(series), int(lengths.max())))
    for row, each in zip(rows, series, strict=True):
        row[: len(each)] = each
    return Ratings(rows, lengths)


def _model(
    instrument: Instrument, shape: Shape, likelihood: float, clinic: Ordinary, real: Ratings
) -> dict[str, float]:
    """What it was made from, what was found, and whether it beats the shipped prior."""
    prior = instrument.prior
    before = Shape(upwards(instrument, prior.mu0), prior.sb, prior.sw, 0.02)
    return {
        "clients": float(len(real.lengths)),
        "ratings": float(real.lengths.sum()),
        "strained_share": shape.strained,
        "autocorrelation": clinic.autocorrelation,
        "growth": clinic.growth,
        "unlike": clinic.spread_sd,
        "log_likelihood_a_rating": likelihood,
        "log_likelihood_a_rating_shipped": log_likelihood(instrument, before, counts_of(instrument, real)),
    }


def _beside(instrument: Instrument, real: Ratings, made: Ratings) -> dict[str, float]:
    """Whether simulated ratings look like the real."""
    pairs = (("real", _marginals(instrument, real)), ("simulated", _marginals(instrument, made)))
    return {f"{name}_{whose}": value for whose, numbers in pairs for name, value in numbers.items()}


def _marginals(instrument: Instrument, ratings: Ratings) -> dict[str, float]:
    seen = ratings.rows[ratings.given]
    top = instrument.total.high - instrument.total.step / 2
    return {"mean": float(seen.mean()), "sd": float(seen.std()), "at_best": float((seen >= top).mean())}
