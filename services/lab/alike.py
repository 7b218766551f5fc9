"""An invented clinic whose ratings look like a real one's: by indirect inference, so that chance can be simulated.

Whatever is asked of the real ratings is asked of simulated ones, and the clinic is changed until both answer alike: how
clients' levels lie and vary, how ratings rise in the course of care and hang together from session to session.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from schemas.instruments import Instrument
from services.lab.calibrate import AUTOCORRELATION, GROWTH_SHARE
from services.lab.likelihood import Ratings, Shape, most_likely
from services.lab.ordinary import Floats, Ordinary, courses

SIMULATED: Final = 20_000
_COMPARED: Final = 4_000
_ROUNDS: Final = 2
ONSETS_THAT_SHOW: Final = 0.021
"""A session: three in a hundred, of which three in ten are concealed (domain brief 5). How many a clinic has cannot be
told from its ratings: heavy tails and unlike clients look the same to the likelihood."""
_SPREAD: Final = 0.15
"""How unlike clients are in their spread is hard to tell at the scale's end: halfway between this and what is seen."""
_COARSER: Final = (10, 5, 2)
_NEARLY_ALL: Final = 0.99
_OFTEN: Final = 6
_LONG: Final = 4
"""Ratings from which on a client's own course says something."""
GROWTHS: Final = (-0.015, 0.0, 0.015, 0.03)
"""Of the span, per logarithm of the session."""
CORRELATIONS: Final = (0.0, 0.2, 0.4, 0.6, 0.8)
SPREADS: Final = (0.0, 0.15, 0.3, 0.45, 0.6)
"""SD of the logarithm of a client's own spread."""


class Asked(NamedTuple):
    """A clinic's ratings, and the seed of what is simulated beside them."""

    instrument: Instrument
    real: Ratings
    seed: int


class Simulated(NamedTuple):
    """Ratings, and where nothing is the matter."""

    ratings: Ratings
    ordinary: NDArray[np.bool_]


def alike(asked: Asked, shape: Shape) -> Ordinary:
    """The clinic, from the shape of its ratings."""
    clinic = Ordinary(
        mean=shape.mu0,
        between_sd=shape.sb,
        within_sd=shape.sw,
        spread_sd=_SPREAD,
        autocorrelation=AUTOCORRELATION,
        rupture_hazard=ONSETS_THAT_SHOW,
    )
    span = asked.instrument.total.span
    for _ in range(_ROUNDS):
        clinic = _matched(asked, clinic, "growth", [each * span for each in GROWTHS], growing)
        clinic = replace(clinic, growth=(clinic.growth + GROWTH_SHARE * span) / 2)
        clinic = _matched(asked, clinic, "autocorrelation", CORRELATIONS, lagged)
        clinic = _matched(asked, clinic, "spread_sd", SPREADS, unlike)
        clinic = replace(clinic, spread_sd=(clinic.spread_sd + _SPREAD) / 2)
        made = simulated(np.random.default_rng([asked.seed, 1]), asked, clinic).ratings
        again, _likelihood = most_likely(asked.instrument, made.first(_COMPARED))
        clinic = replace(
            clinic,
            mean=clinic.mean + shape.mu0 - again.mu0,
            between_sd=clinic.between_sd * shape.sb / again.sb,
            within_sd=clinic.within_sd * shape.sw / again.sw,
        )
    return clinic


def simulated(rng: Generator, asked: Asked, clinic: Ordinary) -> Simulated:
    """Courses like the clinic's: who rates low at first comes as often as those of the clinic who do."""
    rows, lengths = asked.real
    made, ordinary = courses(
        rng, clinic, _as_answered(asked.instrument, asked.real), np.full(SIMULATED, int(lengths.max()))
    )
    drawn = rng.choice(len(lengths), SIMULATED)
    in_order = drawn[np.argsort(rows[drawn, :2].sum(axis=1), kind="stable")]
    stays = np.empty(SIMULATED, int)
    stays[np.argsort(made[:, :2].sum(axis=1), kind="stable")] = lengths[in_order]
    return Simulated(Ratings(made, stays), ordinary)


def _as_answered(instrument: Instrument, real: Ratings) -> Instrument:
    """The instrument with the steps that answers are really given in, where they are coarser (half points, say)."""
    scale = instrument.total
    places = np.rint((real.rows[real.given] - scale.low) / scale.step).astype(int)
    times = next((each for each in _COARSER if (places % each == 0).mean() >= _NEARLY_ALL), 1)
    if any(item.scale.span < item.scale.step * times for item in instrument.items):
        return instrument
    coarse = [replace(item.scale, step=item.scale.step * times) for item in instrument.items]
    items = tuple(replace(item, scale=scale) for item, scale in zip(instrument.items, coarse, strict=True))
    return replace(instrument, items=items)


def _matched(
    asked: Asked, clinic: Ordinary, what: str, values: Sequence[float], number: Callable[[Ratings], float]
) -> Ordinary:
    """The clinic with the value for which this number is that of the real ratings, between the values tried."""
    found = []
    for each in values:
        like = replace(clinic, **{what: each})
        found.append(number(simulated(np.random.default_rng([asked.seed, 3]), asked, like).ratings))
    return replace(clinic, **{what: float(np.interp(number(asked.real), found, values))})


def growing(ratings: Ratings) -> float:
    """Points per logarithm of the session, within clients."""
    off, given = _deviations(ratings)
    at = np.where(given, np.log(np.arange(off.shape[1]) + 1), 0)
    at = np.where(given, at - (at.sum(axis=1) / given.sum(axis=1))[:, None], 0)
    return float((off * at).sum() / (at**2).sum())


def lagged(ratings: Ratings) -> float:
    """Product of neighbouring deviations from a client's own mean, over their variance."""
    long = ratings.lengths >= min(_LONG, int(ratings.lengths.max()))
    rows, given = ratings.rows[long], ratings.given[long]
    own = np.where(given, rows, 0).sum(axis=1) / given.sum(axis=1)
    off = np.where(given, rows - own[:, None], 0)
    return float((off[:, 1:] * off[:, :-1]).sum() / max(float((off**2).sum()), 1e-9))


def unlike(ratings: Ratings) -> float:
    """Variance of the logarithm of a client's mean distance from the own median, of those below the scale's end."""
    long = ratings.lengths >= min(_OFTEN, int(ratings.lengths.max()))
    rows, given = ratings.rows[long], ratings.given[long]
    own = np.nanmedian(np.where(given, rows, np.nan), axis=1)
    apart = np.abs(np.where(given, rows - own[:, None], 0)).sum(axis=1) / given.sum(axis=1)
    usual = float(np.median(apart))
    below = own <= rows[given].max() - usual
    return float(np.var(np.log(apart[below] + 0.1 * usual))) if below.any() else 0.0


def _deviations(ratings: Ratings) -> tuple[Floats, NDArray[np.bool_]]:
    """From each client's own median, 0 where nothing is given; and where something is. Of those who rated often.

    Cut off where ruptures are, and without the last rating, after which low raters leave: what is ordinary is sought.
    """
    before_last = Ratings(ratings.rows, ratings.lengths - 1)
    long = ratings.lengths >= min(_LONG, int(ratings.lengths.max()))
    rows, given = ratings.rows[long], before_last.given[long]
    own = np.nanmedian(np.where(given, rows, np.nan), axis=1)
    most = 1.5 * float(np.abs(np.where(given, rows - own[:, None], 0)).sum() / given.sum())
    off: Floats = np.where(given, np.clip(rows - own[:, None], -most, most), 0)
    return off, given
