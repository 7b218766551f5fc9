"""The detectors' constants on any scale that runs upwards: points of the SRS, as the same share of the scale's span.

Where each number is from, and how far to trust it, is on the detector's page in docs/clinical. They are presets for
comparison and for policies that a clinic brings along: what a clinic has fitted comes from `config`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from schemas.instruments import Scale
from services.scoring.domain import (
    cusum,
    drift,
    ewma,
    falls,
    individuals,
    openfit,
    own_cusum,
    own_runs,
    residuals,
    rolling,
    runs,
    rupture,
    sequences,
    sudden,
)
from services.scoring.domain.config import DEFAULT, SeriesConfig, series_config

_SRS_SPAN: Final = 40.0


def _points(scale: Scale, of_srs: float) -> float:
    """So many points of the SRS, as the same share of this scale's span."""
    return round(of_srs * scale.span / _SRS_SPAN, 6)


def _value(scale: Scale, of_srs: float) -> float:
    """The value at the same place of this scale as on the SRS."""
    return round(scale.low + of_srs * scale.span / _SRS_SPAN, 6)


def _srs() -> SeriesConfig:
    config = series_config(DEFAULT, "srs@3")
    assert isinstance(config, SeriesConfig)
    return config


def predictive_drop(scale: Scale) -> rolling.Config:
    srs = _srs().rolling
    return replace(
        srs,
        low=scale.low,
        high=scale.high,
        step=scale.step,
        mu0=_value(scale, srs.mu0),
        sb=_points(scale, srs.sb),
        sw=_points(scale, srs.sw),
        gate_min_drop=_points(scale, srs.gate_min_drop),
    )


def rupture_evidence(scale: Scale) -> rupture.Config:
    srs = _srs().rupture
    return replace(
        srs,
        low=scale.low,
        high=scale.high,
        step=scale.step,
        mu0=_value(scale, srs.mu0),
        sb=_points(scale, srs.sb),
        sw=_points(scale, srs.sw),
        fall=_points(scale, srs.fall),
        slides=tuple([_points(scale, points) for points in srs.slides]),
    )


def shrunk_drift(scale: Scale) -> drift.Config:
    srs = _srs().drift
    return replace(srs, usual=_value(scale, srs.usual), spread=_points(scale, srs.spread))


def own_usual(scale: Scale) -> residuals.Config:
    """The baseline that `drift` has: domain brief 2(g)."""
    shrunk = shrunk_drift(scale)
    return residuals.Config(shrunk.usual, shrunk.usual_ratings, shrunk.spread, shrunk.spread_ratings)


def individuals_chart(scale: Scale) -> individuals.Config:
    return individuals.Config(limit="1 %", min_ratings=4, floor=_points(scale, 1.0), spread_by="mean")


def individuals_by_median(scale: Scale) -> individuals.Config:
    return replace(individuals_chart(scale), min_ratings=8, spread_by="median")


def known_ewma(scale: Scale) -> ewma.Config:
    usual = own_usual(scale)
    return ewma.Config(weight=0.3, centre=usual.usual, sigma=usual.spread, reset_at_sds=2.5)


def known_cusum(scale: Scale) -> cusum.Config:
    usual = own_usual(scale)
    return cusum.Config(centre=usual.usual, sigma=usual.spread, allowance_sds=0.5, decision_sds=4.0)


def own_sums(scale: Scale) -> own_cusum.Config:
    return own_cusum.Config(own_usual(scale), cusum.Config(0.0, 1.0, allowance_sds=0.5, decision_sds=3.0))


def own_rules(scale: Scale) -> own_runs.Config:
    return own_runs.Config(own_usual(scale), runs.Config(0.0, 1.0, side="low"))


def rupture_sequences(scale: Scale) -> sequences.Config:
    return sequences.scaled(scale)


def own_change(scale: Scale) -> falls.Config:
    """A reliable change of 4.3 points of the SRS: SD 4.5 and alpha .88, both recalled."""
    return falls.Config(critical=_points(scale, 4.3), median_of=15)


def sudden_loss(scale: Scale) -> sudden.Config:
    return sudden.Config(cutoff=_points(scale, 4.3), share=0.25, worse="down", zero=scale.low)


def dashboard(scale: Scale) -> openfit.Config:
    return openfit.Config(cutoff=_value(scale, 36.0), fall=_points(scale, 1.0))
