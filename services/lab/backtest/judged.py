"""What labels say of policies: what was caught, what was cried for nothing, with intervals by client."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any, Final

import numpy as np

from services.lab.backtest.tally import Judged
from services.lab.bootstrap import Draws, Interval, interval, resamples, weigh
from services.lab.burden import Burden, burdens
from services.lab.evaluate import Thresholds, per_client
from services.lab.population import Floats, Marks
from services.lab.truth import BANDS, Truth, most_in_windows, truth

RESAMPLES: Final = 1_000
_DRAWN_AT_MOST: Final = 40_000_000
"""Clients times resamples: more are too many to hold, and with so many clients needless."""
_SEED: Final = 20262


def judge(judged: Sequence[Judged], policies: Sequence[str]) -> dict[str, dict[str, Any]]:
    """By policy: each figure with its 95 % interval, bootstrapped by client.

    A rupture is caught when a rule held in a session of its window (`services.lab.truth`); a false alarm is a clean
    session in which one held.
    """
    judged = sorted(judged, key=attrgetter("drawn", "case"))
    known = truth([each.case for each in judged])
    draws = resamples(_SEED, known.clients, max(50, min(RESAMPLES, _DRAWN_AT_MOST // max(1, known.clients))))
    return {
        name: _policy(known, _spoke(judged, place), draws) | _dropout(judged, place, draws)
        for place, name in enumerate(policies)
    }


def _spoke(judged: Sequence[Judged], place: int) -> Floats:
    return np.concatenate([np.asarray(each.spoke[place], float) for each in judged])


def _policy(known: Truth, spoke: Floats, draws: Draws) -> dict[str, Any]:
    at = Thresholds(np.full((len(draws), 1), 0.5), np.zeros((len(draws), 1)))
    (burden,) = burdens(known, spoke, draws, at, 1)
    best, _ = most_in_windows(known, spoke)
    caught = best > 0.5
    shapes, bands = np.array(known.shape), np.array(known.band)
    return {
        "false_alarms_per_clean_session": _told(
            _share(known, spoke * known.clean.astype(float), known.clean.astype(float), draws)
        ),
        "sensitivity": _told(_caught(known, caught, np.full(caught.size, True), draws)),
        "sensitivity_by_shape": {
            shape: _told(_caught(known, caught, shapes == shape, draws)) for shape in sorted(set(known.shape))
        },
        "sensitivity_by_onset": {name: _told(_caught(known, caught, bands == name, draws)) for name in BANDS},
        "ruptures": int(caught.size),
        **_burden(burden),
    }


def _dropout(judged: Sequence[Judged], place: int, draws: Draws) -> dict[str, Any]:
    """Of the courses labelled with it: who dropped out and was noticed, and who stayed and was said to go."""
    left, stayed = (np.array([each.dropped_out is which for each in judged], float) for which in (True, False))
    if not left.any() and not stayed.any():
        return {}
    absent = np.array([each.absent[place] for each in judged], float)
    with np.errstate(invalid="ignore", divide="ignore"):
        noticed, cried = (weigh(draws, absent * of) / weigh(draws, of) for of in (left, stayed))
    told = {"dropout_noticed": noticed, "stayed_and_said_to_go": cried, "dropout_auc": (1 + noticed - cried) / 2}
    return {name: _told(interval(values)) for name, values in told.items()}


def _burden(burden: Burden) -> dict[str, Any]:
    return {
        "flagged_per_100_sessions": _told(interval(burden.alerts_per_100)),
        "predictive_value": _told(interval(burden.predictive_value)),
        "clients_without_rupture_flagged": _told(interval(burden.clients_flagged)),
        "median_delay_sessions": _told(interval(burden.delay)),
    }


def _share(known: Truth, part: Floats, whole: Floats, draws: Draws) -> Interval:
    with np.errstate(invalid="ignore", divide="ignore"):
        return interval(weigh(draws, per_client(known, part)) / weigh(draws, per_client(known, whole)))


def _caught(known: Truth, caught: Marks, of: Marks, draws: Draws) -> Interval:
    hits, all_of = (_per_client(known, each) for each in (caught & of, of))
    with np.errstate(invalid="ignore", divide="ignore"):
        return interval(weigh(draws, hits) / weigh(draws, all_of))


def _per_client(known: Truth, ruptures: Marks) -> Floats:
    return np.bincount(known.rupture_client, weights=ruptures.astype(float), minlength=known.clients).astype(float)


def _told(found: Interval) -> dict[str, float | None]:
    """Numbers that JSON knows; where there was nothing to count, none."""
    return {
        name: None if not np.isfinite(value) else round(float(value), 5)
        for name, value in zip(("estimate", "low", "high"), found, strict=True)
    }
