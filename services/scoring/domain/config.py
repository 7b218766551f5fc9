"""The engine's parameters. They are versioned with the engine: another number is another `ENGINE_VERSION`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from math import erfc, exp, hypot, pi, sqrt
from typing import Final

from schemas.instruments import Instrument, Prior, UnknownInstrument, lookup
from services.scoring.domain import (
    discrepancy,
    drift,
    hazard,
    level,
    off_track,
    quality,
    repair,
    rolling,
    rupture,
    sequences,
)
from services.scoring.domain.normal import TABLES_KEPT
from services.scoring.domain.rates import RATES

SILENT_FROM: Final = 5
"""Ratings in a row at the best possible value that are told as no information."""
_FORTIETHS: Final = 40.0
ENGINE_VERSION: Final = 3
"""Raise it with any change that may change a published number: every reading is then made anew."""


@dataclass(frozen=True, slots=True)
class AttendanceConfig:
    """When silence is long. `booking_grace_days`: how long a clinic may take to record what came of a booking."""

    amber_days: float
    amber_median_gaps: float
    red_days: float
    red_median_gaps: float
    min_gaps: int
    booking_grace_days: float
    early_sessions: int


@dataclass(frozen=True, slots=True)
class ChangeConfig:
    """What a change of the alliance looks like; shares are of the span of the total (`rupture.Config`)."""

    sw_spread: float
    fall_share: float
    fall_spread: float
    slide_share: float
    slide_shares: tuple[float, ...]
    windows: tuple[int, ...]
    onset_chance: float
    grid_points: int
    strain_rate: float
    strain_drop_share: float
    """From which rarity and fall on the engine follows a strain to its repair; when to tell somebody is policy's."""


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """What applies to every instrument; shares are of the span of its total.

    `priors` and `rates` override what is shipped, by instrument.
    """

    gate_alpha: float
    gate_min_drop_share: float
    probabilities: tuple[float, ...]
    grid_points: int
    drift_weight: float
    drift_reset_at_sds: float
    drift_upside_cap_sds: float
    drift_usual_share: float
    drift_usual_ratings: float
    drift_spread_share: float
    drift_spread_ratings: float
    check_in_fall_share: float
    change: ChangeConfig
    attendance: AttendanceConfig
    priors: tuple[tuple[str, Prior], ...] = ()
    rates: tuple[tuple[str, tuple[tuple[float, float], ...]], ...] = ()
    fitted_version: int = 0
    """The version of the clinic's fitted `priors`; 0 where the registry's apply."""
    curves: tuple[tuple[str, off_track.Curve], ...] = ()
    """The clinic's own expected responses, by instrument."""
    hazard: hazard.HazardModel | None = None
    """The clinic's own; without one nothing is said of how likely it is that a client leaves."""


@dataclass(frozen=True, slots=True)
class SeriesConfig:
    """The parameters of one instrument's series; `quantile_names` are probabilities on the instrument's own scale.

    `off_track`: of outcomes alone; `discrepancy`: of alliance measures that client and therapist both rate;
    `leaving`: of alliance measures where the clinic has a hazard of dropout.
    """

    instrument: Instrument
    quantile_names: tuple[str, ...]
    rolling: rolling.Config
    rupture: rupture.Config
    drift: drift.Config
    level: level.Config
    repair: repair.Config
    sequences: sequences.Config
    quality: quality.Config
    off_track: off_track.Config | None
    discrepancy: discrepancy.Config | None
    strain_rate: float
    strain_drop: float
    leaving: hazard.Config | None = None


DEFAULT: Final = EngineConfig(
    gate_alpha=0.02,
    gate_min_drop_share=0.075,
    probabilities=(0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9),
    grid_points=241,
    drift_weight=0.3,
    drift_reset_at_sds=2.5,
    drift_upside_cap_sds=1.0,
    drift_usual_share=0.925,
    drift_usual_ratings=1.5,
    drift_spread_share=0.055,
    drift_spread_ratings=6.0,
    check_in_fall_share=0.025,
    change=ChangeConfig(
        sw_spread=0.12,
        fall_share=0.15,
        fall_spread=0.45,
        slide_share=0.08,
        slide_shares=(0.025, 0.0375, 0.055),
        windows=(2, 4),
        onset_chance=0.03,
        grid_points=61,
        strain_rate=0.01,
        strain_drop_share=0.05,
    ),
    attendance=AttendanceConfig(
        amber_days=21.0,
        amber_median_gaps=2.5,
        red_days=28.0,
        red_median_gaps=3.0,
        min_gaps=2,
        booking_grace_days=1.0,
        early_sessions=3,
    ),
)
"""The engine as shipped: docs/clinical/rolling-score.md and detectors.md say where each number is from."""


@lru_cache(maxsize=4 * TABLES_KEPT)
def series_config(engine: EngineConfig, instrument_key: str) -> SeriesConfig | UnknownInstrument:
    """The engine's parameters on one instrument's scale.

    >>> srs = series_config(DEFAULT, "srs@3")
    >>> srs.rolling.gate_min_drop, srs.drift.usual, srs.drift.spread, srs.level.fall
    (3.0, 37.0, 2.2, 1.0)
    """
    instrument = lookup(instrument_key)
    if isinstance(instrument, UnknownInstrument):
        return instrument
    prior = dict(engine.priors).get(instrument.key, instrument.prior)
    return SeriesConfig(
        instrument=instrument,
        quantile_names=tuple(f"{chance:g}" for chance in engine.probabilities),
        rolling=_rolling(engine, instrument, prior),
        rupture=rupture_config(engine, instrument, prior),
        drift=_drift(engine, instrument, prior),
        level=level.Config(fall=round(engine.check_in_fall_share * instrument.total.span, 6)),
        repair=repair.scaled(instrument.total),
        sequences=sequences.scaled(instrument.total),
        quality=quality.Config(instrument.total, silent_from=SILENT_FROM),
        off_track=_off_track(engine, instrument) if instrument.family == "outcome" else None,
        discrepancy=discrepancy.of_form(instrument, prior) if instrument.family == "alliance" else None,
        strain_rate=engine.change.strain_rate,
        strain_drop=round(engine.change.strain_drop_share * instrument.total.span, 6),
        leaving=_leaving(instrument, prior) if engine.hazard and instrument.family == "alliance" else None,
    )


def upwards(instrument: Instrument, total: float) -> float:
    """The total on the scale turned so that more is better; applied twice it is the total again.

    >>> from schemas.instruments import lookup
    >>> upwards(lookup("phq-9@1"), 20.0), upwards(lookup("srs@3"), 20.0)
    (7.0, 20.0)
    """
    scale = instrument.total
    return total if instrument.direction == "up" else round(scale.low + scale.high - total, 6)


def _rolling(engine: EngineConfig, instrument: Instrument, prior: Prior) -> rolling.Config:
    """Where the scale runs downwards, the bad tail is the upper one: its quantiles are the complements."""
    scale, down = instrument.total, instrument.direction == "down"
    chances = tuple(round(1 - chance, 6) for chance in engine.probabilities) if down else engine.probabilities
    return rolling.Config(
        low=scale.low,
        high=scale.high,
        step=scale.step,
        mu0=upwards(instrument, prior.mu0),
        sb=prior.sb,
        sw=prior.sw,
        gate_alpha=engine.gate_alpha,
        gate_min_drop=round(engine.gate_min_drop_share * scale.span, 6),
        probabilities=chances,
        grid_points=engine.grid_points,
    )


def rupture_config(engine: EngineConfig, instrument: Instrument, prior: Prior) -> rupture.Config:
    """The detector of changes on an instrument's own scale."""
    scale, change = instrument.total, engine.change
    return rupture.Config(
        low=scale.low,
        high=scale.high,
        step=scale.step,
        mu0=upwards(instrument, prior.mu0),
        sb=prior.sb,
        sw=prior.sw,
        sw_spread=change.sw_spread,
        fall=round(change.fall_share * scale.span, 6),
        fall_spread=change.fall_spread,
        slide_share=change.slide_share,
        slides=tuple(round(share * scale.span, 6) for share in change.slide_shares),
        windows=change.windows,
        onset_chance=change.onset_chance,
        grid_points=change.grid_points,
        rates={**RATES, **dict(engine.rates)}.get(instrument.key, ()),
    )


def _off_track(engine: EngineConfig, instrument: Instrument) -> off_track.Config:
    shipped = off_track.shipped(instrument)
    return replace(shipped, curve=dict(engine.curves).get(instrument.key, shipped.curve))


def _leaving(instrument: Instrument, prior: Prior) -> hazard.Config:
    return hazard.Config(usual=upwards(instrument, prior.mu0), unit=instrument.total.span / _FORTIETHS)


def _drift(engine: EngineConfig, instrument: Instrument, prior: Prior) -> drift.Config:
    """Where a clinic's own prior is known, its usual lies as much beside the shipped one as its ratings do."""
    scale, shipped = instrument.total, instrument.prior
    aside = _usual(instrument, prior) - _usual(instrument, shipped)
    return drift.Config(
        weight=engine.drift_weight,
        reset_at_sds=engine.drift_reset_at_sds,
        upside_cap_sds=engine.drift_upside_cap_sds,
        usual=round(scale.low + engine.drift_usual_share * scale.span + aside, 6),
        usual_ratings=engine.drift_usual_ratings,
        spread=round(engine.drift_spread_share * scale.span * prior.sw / shipped.sw, 6),
        spread_ratings=engine.drift_spread_ratings,
    )


def _usual(instrument: Instrument, prior: Prior) -> float:
    """The mean rating under a prior, cut off at both ends of the scale."""
    mean, sd = upwards(instrument, prior.mu0), hypot(prior.sb, prior.sw)
    low, high = ((end - mean) / sd for end in (instrument.total.low, instrument.total.high))
    below, above = (_excess(z) for z in (-low, high))
    return mean - sd * above + sd * below


def _excess(z: float) -> float:
    """How much of a standard normal lies beyond z, times how far: E[max(0, x - z)].

    >>> round(_excess(0.0), 6), round(_excess(3.0), 6)
    (0.398942, 0.000382)
    """
    return exp(-z * z / 2) / sqrt(2 * pi) - z * erfc(z / sqrt(2)) / 2
