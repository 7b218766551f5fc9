"""A clinic's own expected response, from its closed episodes: gain on intake and ln session, bands from quantiles.

    gain_t ~ (gain + per_point x0) ln t / ln 10     least squares over every score after the first, each divided by
                                                     its spread; through 0 at the first session
    residual                                         (q75 - q25) / 1.349 of what is left over, as at session 10

Scores run upwards; only closed episodes with two scores or more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from schemas.instruments import Instrument, Source
from services.lab.population import Floats
from services.platform.errors import AttuneError
from services.scoring.domain.off_track import Config, Curve, shipped

ENOUGH_EPISODES: Final = 300
SESSIONS: Final = 10
_QUARTILES_IN_SDS: Final = 1.349
_BANDS: Final = (0.1, 0.25, 0.4)
_LEAST_SCORES: Final = 2


class TooFewEpisodes(AttuneError):
    """The shipped surrogate is the better guess."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """The configuration, and how well it describes what it was made from, out of sample by halves."""

    config: Config
    card: Mapping[str, float]


def fit(instrument: Instrument, episodes: Sequence[Sequence[float]], *, version: int = 1) -> Fitted:
    """From each closed episode's scores in order, upwards.

    Raises:
        TooFewEpisodes: fewer than 300 with two scores.
    """
    kept = [each for each in episodes if len(each) >= _LEAST_SCORES]
    if len(kept) < ENOUGH_EPISODES:
        raise TooFewEpisodes(
            f"{instrument.key}: {len(kept)} closed episodes with two scores, {ENOUGH_EPISODES} are needed",
            hint="the shipped curve applies until then",
        )
    curve = replace(_curve(kept, version), source=_source(len(kept)))
    return Fitted(replace(shipped(instrument), curve=curve), _card(kept, curve))


def _source(episodes: int) -> Source:
    return Source(f"least squares over {episodes} closed episodes of this clinic", "computed")


def _curve(episodes: Sequence[Sequence[float]], version: int = 1) -> Curve:
    share, intake, gain = _rows(episodes)
    even = np.sqrt(share)  # scatter grows with it: divided by it, all rows weigh alike
    gained, per_point = np.linalg.lstsq(np.column_stack((even, even * intake)), gain / even, rcond=None)[0]
    left = (gain - share * (gained + per_point * intake)) / np.sqrt(share)
    low, high = np.quantile(left, (0.25, 0.75))
    residual = float(high - low) / _QUARTILES_IN_SDS
    return Curve(float(gained), float(per_point), max(residual, 1e-6), SESSIONS, _source(len(episodes)), version)


def _rows(episodes: Sequence[Sequence[float]]) -> tuple[Floats, Floats, Floats]:
    """Of every score after the first: its share of the course, the intake, the gain since."""
    flat = [
        (np.log(min(session, SESSIONS)) / np.log(SESSIONS), scores[0], score - scores[0])
        for scores in episodes
        for session, score in enumerate(scores[1:], start=2)
    ]
    share, intake, gain = np.array(flat).T
    return share, intake, gain


def _card(episodes: Sequence[Sequence[float]], curve: Curve) -> dict[str, float]:
    """Fitted on the even episodes and tried on the odd ones: mean error, and how many lie under each band."""
    half = _curve(episodes[::2])
    share, intake, gain = _rows(episodes[1::2])
    error = gain - share * (half.gain + half.per_point * intake)
    sds = error / (half.residual * np.sqrt(share))
    normal = {0.1: -1.2816, 0.25: -0.6745, 0.4: -0.2533}
    return {
        "episodes": float(len(episodes)),
        "residual": curve.residual,
        "mean error": float(error.mean()),
        **{f"share under {band:.0%}": float(np.mean(sds < normal[band])) for band in _BANDS},
    }
