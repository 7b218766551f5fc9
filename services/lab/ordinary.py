"""Ordinary courses on any instrument, with few ruptures: what chance does to a series of ratings. Simulation only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from schemas.instruments import Instrument, Scale

Floats = NDArray[np.float64]
LONGEST: Final = 20
ITEM_NOISE: Final = 0.375
"""Of a total, by its items' own noise, in SDs of the state: 0.9 beside 2.4 points in the generator of the SRS."""

FALL_SHARE: Final = 0.15
FALL_SPREAD: Final = 0.45
PROFILES: Final = ((1.0,), (1.0, 0.6, 0.3), (1.0, *[0.8] * LONGEST))
PROFILE_SHARES: Final = (0.5, 0.25, 0.25)


@dataclass(frozen=True, slots=True)
class Ordinary:
    """Clients' levels and one client's spread, in points upwards.

    `spread_sd`: how unlike clients' spreads are (SD of the logarithm). `autocorrelation`: with the rating before.
    `growth`: per logarithm of the session.
    """

    mean: float
    between_sd: float
    within_sd: float
    spread_sd: float
    autocorrelation: float
    growth: float = 0.0
    rupture_hazard: float = 0.0


def courses(
    rng: Generator, clinic: Ordinary, instrument: Instrument, lengths: NDArray[np.int64]
) -> tuple[Floats, NDArray[np.bool_]]:
    """Totals upwards, a row for each client, as wide as the longest, and where nothing is the matter.

    Items are cut off at their scale's ends. A session is ordinary when no rupture is active then nor just before.

    >>> from schemas.instruments import lookup
    >>> rng = np.random.default_rng(1)
    >>> rows, ordinary = courses(rng, Ordinary(39, 3.6, 2.4, 0, 0.35), lookup("srs@3"), np.array([3, 5]))
    >>> rows.shape, float(rows.max()), bool(ordinary.all())
    ((2, 5), 40.0, True)
    """
    clients, longest = len(lengths), int(lengths.max())
    level = clinic.mean + clinic.between_sd * rng.standard_normal(clients)
    spread = clinic.within_sd * np.exp(clinic.spread_sd * rng.standard_normal(clients))
    effect = _ruptures(rng, clinic, instrument.total.span, (clients, longest))
    state, fresh = rng.standard_normal(clients), np.sqrt(1 - clinic.autocorrelation**2)
    rows = np.empty((clients, longest))
    for session in range(longest):
        state = clinic.autocorrelation * state + fresh * rng.standard_normal(clients)
        latent = level + clinic.growth * np.log(session + 1) + spread * state - effect[:, session]
        rows[:, session] = _total(rng, instrument, latent, spread)
    strained = effect > 0
    strained[:, 1:] |= strained[:, :-1].copy()
    return rows, ~strained


def _ruptures(rng: Generator, clinic: Ordinary, span: float, size: tuple[int, int]) -> Floats:
    """Points lost to ruptures: half last one session, a quarter fade, a quarter stay, as in the generator."""
    effect = np.zeros(size)
    begins = (rng.random(size) < clinic.rupture_hazard) & (np.arange(size[1]) > 0)
    for client, session in zip(*np.nonzero(begins), strict=True):
        if effect[client, session] == 0:
            fall = span * FALL_SHARE * np.exp(FALL_SPREAD * rng.standard_normal())
            profile = PROFILES[int(rng.choice(len(PROFILES), p=PROFILE_SHARES))]
            lasts = min(len(profile), size[1] - session)
            effect[client, session : session + lasts] = fall * np.array(profile[:lasts])
    return effect


def _total(rng: Generator, instrument: Instrument, latent: Floats, spread: Floats) -> Floats:
    """Each item is a share of its scale around the latent one; totals are the mean share, on the total's steps."""
    scale, items = instrument.total, len(instrument.items)
    item = instrument.items[0].scale
    noise = ITEM_NOISE * spread / scale.span * np.sqrt(items)
    share = (latent - scale.low)[:, None] / scale.span + noise[:, None] * rng.standard_normal((len(latent), items))
    steps = item.span / item.step
    given = np.round(np.clip(share, 0, 1) * steps) / steps
    total = np.round(given.mean(axis=1) * scale.span / scale.step)
    rounded: Floats = np.round(scale.low + total * scale.step, 6)
    return rounded


def usual_lengths(rng: Generator, clients: int) -> NDArray[np.int64]:
    """Planned sessions of routine care: median 7 or 8, at most 20 (the generator's own)."""
    return np.minimum(LONGEST, 2 + rng.negative_binomial(2, 0.2, clients))


def stayed(rng: Generator, rows: Floats, scale: Scale, lengths: NDArray[np.int64], usual: float) -> NDArray[np.int64]:
    """How many sessions each client came to: who rates low is likelier to leave, as in `services.lab.generator`."""
    points = (rows - scale.low) * 40 / scale.span
    lasted, past = lengths.copy(), np.cumsum(points, axis=1)
    for session in range(rows.shape[1] - 1):
        now = points[:, session]
        own = past[:, session - 1] / session if session else np.full(len(rows), (usual - scale.low) * 40 / scale.span)
        logit = -3.6 + 0.10 * np.maximum(0, 36 - now) + 0.06 * np.maximum(0, own - now) + (0.5 if session < 2 else 0.0)
        leaves = (rng.random(len(rows)) < 1 / (1 + np.exp(-logit))) & (lasted > session + 1)
        lasted[leaves] = session + 1
    return lasted
