"""What a threshold costs a clinic, for each resample of its clients."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from services.lab.bootstrap import Draws, weigh
from services.lab.evaluate import Thresholds, per_client
from services.lab.population import Floats, Marks
from services.lab.truth import GRADUAL, Truth


class Burden(NamedTuple):
    """For each resample, at the caseload's own threshold."""

    alerts_per_100: Floats
    """Sessions flagged, of 100 rated ones; without any cooldown."""
    predictive_value: Floats
    """Of the flags: in sessions of a rupture that shows."""
    clients_flagged: Floats
    """Of clients without any rupture: flagged at least once."""
    delay: Floats
    """Median sessions from onset to the first flag, of the ruptures caught."""
    gradual_delay: Floats
    """The same of staircases and slides."""


def burdens(truth: Truth, evidence: Floats, draws: Draws, at: Thresholds, columns: int) -> tuple[Burden, ...]:
    """What the caseload's own thresholds cost, for the first so many targets."""
    chances = [_chance(evidence, float(at.at[0, target]), float(at.share[0, target])) for target in range(columns)]
    counts = [per_client(truth, np.ones(truth.sessions)), np.where(truth.ruptured, 0.0, 1.0)]
    for chance in chances:
        counts += [per_client(truth, chance), per_client(truth, chance * truth.expressed), _ever(truth, chance)]
    sessions, intact, *rest = weigh(draws, np.column_stack(counts)).T
    with np.errstate(invalid="ignore", divide="ignore"):
        return tuple(
            Burden(
                100 * alerts / sessions,
                right / alerts,
                ever / intact,
                _delay(truth, chance, draws, np.full(truth.onset.size, True)),
                _delay(truth, chance, draws, np.isin(truth.shape, GRADUAL)),
            )
            for chance, alerts, right, ever in zip(chances, rest[::3], rest[1::3], rest[2::3], strict=True)
        )


def _chance(evidence: Floats, at: float, share: float) -> Floats:
    """How surely each session is flagged: only where evidence ties with the threshold is it neither 0 nor 1."""
    return np.where(evidence > at, 1.0, np.where(evidence == at, share, 0.0))


def _ever(truth: Truth, chance: Floats) -> Floats:
    """How surely each client without a rupture is flagged at least once."""
    never = per_client(truth, np.log1p(-np.minimum(chance, 1 - 1e-12)))
    return np.where(truth.ruptured, 0.0, 1 - np.exp(never))


def _delay(truth: Truth, chance: Floats, draws: Draws, wanted: Marks) -> Floats:
    """Weighted medians over the ruptures that were flagged (more likely than not, where there are ties)."""
    flagged = np.append(np.flatnonzero(chance >= 0.5), chance.size)
    first = flagged[np.searchsorted(flagged, truth.onset)]
    caught = np.flatnonzero((first <= truth.last) & wanted)
    if not caught.size:
        return np.full(len(draws), np.nan)
    delays = first[caught] - truth.onset[caught]
    order = np.argsort(delays, kind="stable")
    reached = np.cumsum(draws[:, truth.rupture_client[caught[order]]], axis=1, dtype=np.int64)
    place = (2 * reached < reached[:, -1:]).sum(axis=1)
    return np.asarray(delays[order][np.minimum(place, order.size - 1)], np.float64)
