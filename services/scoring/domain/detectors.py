"""Every detector that follows one series of ratings, in one tuple: whoever adds one adds it here, and the laws hold it.

What is wired into readings is `signals`' to say; here is what there is, for laws, pages and comparison. Numbers only:
what is too much is policy's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, Literal, TypeVar

from schemas.instruments import Scale
from services.scoring.domain import (
    cusum,
    drift,
    drop,
    ewma,
    falls,
    individuals,
    off_track,
    openfit,
    own_cusum,
    own_runs,
    presets,
    residuals,
    rolling,
    rupture,
    sequences,
    sudden,
)

C = TypeVar("C")
S = TypeVar("S")
R = TypeVar("R")

Unit = Literal["points", "nats", "sd", "limits", "reliable changes", "rules", "yes or no"]


@dataclass(frozen=True, slots=True)
class Detector(Generic[C, S, R]):
    """`evidence` is one number of a reading, higher being worse; `None` where it cannot be known yet.

    `page`: its page in docs/clinical. `order_free`: a number that the order of earlier ratings does not change, where
    there is one. `retrospective`: it looks back, so a lower last rating may speak against it.
    """

    name: str
    page: str
    rank: int | None
    unit: Unit
    configure: Callable[[Scale], C]
    start: Callable[[C], S]
    step: Callable[[C, S, float], tuple[S, R]]
    evidence: Callable[[R], float | None]
    order_free: Callable[[R], float | None] | None = None
    retrospective: bool = False


def _in_limits(reading: individuals.Reading) -> float | None:
    if reading.below_sds is None or reading.limit_sds is None:
        return None
    return reading.below_sds / reading.limit_sds


def _lasting(reading: sudden.Reading) -> float | None:
    confirmed = reading.confirmed
    return confirmed.points if confirmed is not None and confirmed.sudden else 0.0


def _completed(reading: own_runs.Reading) -> float | None:
    return None if reading.chart is None else float(len(reading.chart.western) + len(reading.chart.nelson))


_INDIVIDUALS: Final[Detector[individuals.Config, individuals.State, individuals.Reading]] = Detector(
    name="individuals-chart",
    page="individuals-chart",
    rank=10,
    unit="limits",
    configure=presets.individuals_chart,
    start=individuals.start,
    step=individuals.step,
    evidence=_in_limits,
    order_free=lambda reading: reading.limits.centre if reading.limits else None,
)

DETECTORS: Final[tuple[Detector[Any, Any, Any], ...]] = (
    Detector(
        name="rupture-evidence",
        page="rupture-evidence",
        rank=1,
        unit="nats",
        configure=presets.rupture_evidence,
        start=rupture.start,
        step=rupture.step,
        evidence=lambda reading: reading.log_ratio if reading else None,
    ),
    Detector(
        name="predictive-drop",
        page="rolling-score",
        rank=1,
        unit="points",
        configure=presets.predictive_drop,
        start=rolling.start,
        step=rolling.step,
        evidence=lambda reading: reading.expected.drop if reading.expected else None,
        order_free=lambda reading: reading.expected.mean if reading.expected else None,
    ),
    Detector(
        name="reliable-drop",
        page="reliable-drop",
        rank=2,
        unit="points",
        configure=lambda _: drop.Config(),
        start=drop.start,
        step=drop.step,
        evidence=lambda reading: reading.fall,
    ),
    Detector(
        name="drift",
        page="ewma",
        rank=3,
        unit="sd",
        configure=presets.shrunk_drift,
        start=drift.start,
        step=drift.step,
        evidence=lambda reading: reading.below_sds,
    ),
    _INDIVIDUALS,
    replace(_INDIVIDUALS, name="individuals-chart-median", configure=presets.individuals_by_median),
    Detector(
        name="own-usual",
        page="own-usual",
        rank=None,
        unit="sd",
        configure=presets.own_usual,
        start=residuals.start,
        step=residuals.step,
        evidence=lambda reading: reading.below_sds,
        order_free=lambda reading: reading.usual,
    ),
    Detector(
        name="own-change",
        page="reliable-change",
        rank=None,
        unit="reliable changes",
        configure=presets.own_change,
        start=falls.start,
        step=falls.step,
        evidence=lambda reading: reading.reliable_changes,
        order_free=lambda reading: reading.usual,
    ),
    Detector(
        name="ewma",
        page="ewma",
        rank=None,
        unit="sd",
        configure=presets.known_ewma,
        start=ewma.start,
        step=ewma.step,
        evidence=lambda reading: reading.below_sds,
    ),
    Detector(
        name="cusum",
        page="cusum",
        rank=None,
        unit="sd",
        configure=presets.known_cusum,
        start=cusum.start,
        step=cusum.step,
        evidence=lambda reading: reading.low,
    ),
    Detector(
        name="own-cusum",
        page="cusum",
        rank=None,
        unit="sd",
        configure=presets.own_sums,
        start=own_cusum.start,
        step=own_cusum.step,
        evidence=lambda reading: reading.chart.low if reading.chart else None,
    ),
    Detector(
        name="own-runs",
        page="run-rules",
        rank=None,
        unit="rules",
        configure=presets.own_rules,
        start=own_runs.start,
        step=own_runs.step,
        evidence=_completed,
    ),
    Detector(
        name="sequences",
        page="sequences",
        rank=None,
        unit="sd",
        configure=presets.rupture_sequences,
        start=sequences.start,
        step=sequences.step,
        evidence=lambda reading: reading.fall_sds,
    ),
    Detector(
        name="sudden-loss",
        page="sudden-loss",
        rank=None,
        unit="points",
        configure=presets.sudden_loss,
        start=sudden.start,
        step=sudden.step,
        evidence=_lasting,
        retrospective=True,
    ),
    Detector(
        name="off-track",
        page="off-track",
        rank=None,
        unit="sd",
        configure=off_track.on_scale,
        start=off_track.start,
        step=off_track.step,
        evidence=lambda reading: reading.below_sds,
    ),
    Detector(
        name="openfit",
        page="openfit",
        rank=None,
        unit="yes or no",
        configure=presets.dashboard,
        start=openfit.start,
        step=openfit.step,
        evidence=lambda reading: float(reading.colour == "red"),
    ),
)
"""tests/property/test_detector_laws.py holds each of them to the same laws, and to a batch computation of its own."""
