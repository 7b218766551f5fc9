"""Rules at equal false alarms: what each catches when all may cry wolf equally often.

Thresholds are found on the evaluated caseload itself, for every rule and every resample alike. Where sessions tie at
the threshold, a share of them is flagged (the randomised threshold), so that the false alarms are exactly equal; a
session at which a rule cannot say anything is never flagged. Everything is computed for all resamples at once, row 0
being the caseload itself (`bootstrap.resamples`).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Final, NamedTuple

import numpy as np

from services.lab.bootstrap import Draws, weigh
from services.lab.population import SHAPES, Floats, Marks
from services.lab.truth import ALL, BANDS, Places, Truth, most_in_windows

TARGETS: Final = (0.005, 0.01, 0.02, 0.03)
"""False alarms per clean session."""
SHAPE_NAMES: Final = (ALL, *SHAPES)
BAND_NAMES: Final = (ALL, *BANDS)
CELLS: Final[tuple[tuple[str, str], ...]] = tuple(product(SHAPE_NAMES, BAND_NAMES))
"""(shape, band of onset) of every cell of the table, margins included."""
_CHUNK: Final = 50


class Thresholds(NamedTuple):
    """Rows: resamples; columns: targets. Flagged: evidence above `at`, and `share` of that exactly at it."""

    at: Floats
    share: Floats


@dataclass(frozen=True, slots=True)
class Clean:
    """A rule's evidence in clean sessions, most alarming first, up to as many as any target needs."""

    values: Floats
    """Each once, falling."""
    ends: Places
    """Where each value's last session is."""
    client: Places


def clean_sessions(truth: Truth, evidence: Floats, most: float) -> Clean:
    """`most`: the largest share of false alarms that will be asked for."""
    found, client = evidence[truth.clean], truth.client[truth.clean]
    order = np.argsort(-found, kind="stable")[: int(found.size * min(1.0, 1.3 * most)) + 200]
    order = order[np.isfinite(found[order])]
    values = found[order]
    ends = np.flatnonzero(np.append(values[1:] != values[:-1], True)) if values.size else np.zeros(0, np.int64)
    return Clean(values[ends], ends, client[order])


def thresholds(truth: Truth, clean: Clean, draws: Draws, targets: Floats) -> Thresholds:
    """`targets`: a row for each resample. Where no threshold gives so many, everything that can be said is flagged."""
    at, share = np.full(targets.shape, np.inf), np.zeros(targets.shape)
    if not clean.values.size:
        return Thresholds(at, share)
    sessions = _clean_sessions(truth, draws)
    for row in range(len(draws)):
        reached = np.cumsum(draws[row][clean.client], dtype=np.int64)[clean.ends]
        wanted = targets[row] * sessions[row]
        place = np.minimum(np.searchsorted(reached, wanted), clean.values.size - 1)
        below = np.where(place > 0, reached[np.maximum(place - 1, 0)], 0)
        tied = np.maximum(reached[place] - below, 1)
        at[row] = clean.values[place]
        share[row] = np.clip((wanted - below) / tied, 0.0, 1.0)
    return Thresholds(at, share)


def _clean_sessions(truth: Truth, draws: Draws) -> Floats:
    return weigh(draws, _per_client(truth, truth.clean))


def false_alarms(truth: Truth, evidence: Floats, threshold: float, draws: Draws) -> Floats:
    """Per clean session, of a rule at a fixed threshold, for each resample."""
    flagged = _per_client(truth, truth.clean & (evidence > threshold))
    return weigh(draws, flagged) / _clean_sessions(truth, draws)


def sensitivity(truth: Truth, evidence: Floats, draws: Draws, at: Thresholds) -> Floats:
    """The share of ruptures caught: resamples by targets by cells; NaN in a cell without ruptures."""
    most, ties = most_in_windows(truth, evidence)
    members = membership(truth)
    rows, targets = at.at.shape
    found = np.empty((rows, targets, len(CELLS)))
    for begin in range(0, rows, _CHUNK):
        part = slice(begin, begin + _CHUNK)
        drawn = draws[part][:, truth.rupture_client].astype(np.float32)
        count = drawn @ members
        for target in range(targets):
            chance = _caught(most, ties, at.at[part, target], at.share[part, target])
            with np.errstate(invalid="ignore"):
                found[part, target] = ((chance * drawn) @ members) / count
    return found


def _caught(most: Floats, ties: Places, at: Floats, share: Floats) -> np.typing.NDArray[np.float32]:
    """How surely each rupture is caught, resamples by ruptures."""
    above = (most[None, :] > at[:, None]).astype(np.float32)
    row, rupture = np.nonzero(most[None, :] == at[:, None])
    above[row, rupture] = 1 - (1 - share[row]) ** ties[rupture]
    return above


def membership(truth: Truth) -> np.typing.NDArray[np.float32]:
    """Which ruptures are in which cell of the table: 0 or 1, ruptures by cells."""
    shape, band = np.array(truth.shape), np.array(truth.band)
    columns = [
        (np.full(shape.size, True) if kind == ALL else shape == kind)
        & (np.full(band.size, True) if when == ALL else band == when)
        for kind, when in CELLS
    ]
    return np.column_stack(columns).astype(np.float32)


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


def burdens(truth: Truth, evidence: Floats, draws: Draws, at: Thresholds, columns: int) -> tuple[Burden, ...]:
    """What the caseload's own thresholds cost, for the first so many targets."""
    chances = [_chance(evidence, float(at.at[0, target]), float(at.share[0, target])) for target in range(columns)]
    counts = [_per_client(truth, np.ones(truth.sessions)), np.where(truth.ruptured, 0.0, 1.0)]
    for chance in chances:
        counts += [_per_client(truth, chance), _per_client(truth, chance * truth.expressed), _ever(truth, chance)]
    sessions, intact, *rest = weigh(draws, np.column_stack(counts)).T
    with np.errstate(invalid="ignore", divide="ignore"):
        return tuple(
            Burden(100 * alerts / sessions, right / alerts, ever / intact, _delay(truth, chance, draws))
            for chance, alerts, right, ever in zip(chances, rest[::3], rest[1::3], rest[2::3], strict=True)
        )


def _chance(evidence: Floats, at: float, share: float) -> Floats:
    """How surely each session is flagged: only where evidence ties with the threshold is it neither 0 nor 1."""
    return np.where(evidence > at, 1.0, np.where(evidence == at, share, 0.0))


def _ever(truth: Truth, chance: Floats) -> Floats:
    """How surely each client without a rupture is flagged at least once."""
    never = _per_client(truth, np.log1p(-np.minimum(chance, 1 - 1e-12)))
    return np.where(truth.ruptured, 0.0, 1 - np.exp(never))


def _per_client(truth: Truth, values: Floats | Marks) -> Floats:
    return np.asarray(np.bincount(truth.client, values, minlength=truth.clients), np.float64)


def _delay(truth: Truth, chance: Floats, draws: Draws) -> Floats:
    """Weighted medians over the ruptures that were flagged (more likely than not, where there are ties)."""
    flagged = np.append(np.flatnonzero(chance >= 0.5), chance.size)
    first = flagged[np.searchsorted(flagged, truth.onset)]
    caught = np.flatnonzero(first <= truth.last)
    if not caught.size:
        return np.full(len(draws), np.nan)
    delays = first[caught] - truth.onset[caught]
    order = np.argsort(delays, kind="stable")
    reached = np.cumsum(draws[:, truth.rupture_client[caught[order]]], axis=1, dtype=np.int64)
    place = (2 * reached < reached[:, -1:]).sum(axis=1)
    return np.asarray(delays[order][np.minimum(place, order.size - 1)], np.float64)
