"""Rules at equal false alarms: what each catches when all may cry wolf equally often.

Thresholds are found on the evaluated caseload itself, for every rule and every resample alike. Where sessions tie at
the threshold, a share of them is flagged (the randomised threshold), so that the false alarms are exactly equal; a
session at which a rule cannot say anything is never flagged. For cells by onset each band of sessions has a threshold
of its own, so that the false alarms are equal in each: else a rule that is silent early would spend them all late, and
look better there than it is. Everything is computed for all resamples at once, row 0 being the caseload itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final, NamedTuple

import numpy as np

from services.lab.bootstrap import Draws, weigh
from services.lab.population import SHAPES, Floats, Marks
from services.lab.truth import ALL, BANDS, SCOPES, Places, Truth, most_in_windows

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


def clean_sessions(truth: Truth, evidence: Floats, most: float, scope: str = ALL) -> Clean:
    """`most`: the largest share of false alarms that will be asked for."""
    clean = truth.clean_in(scope)
    found, client = evidence[clean], truth.client[clean]
    order = np.argsort(-found, kind="stable")[: int(found.size * min(1.0, 1.3 * most)) + 200]
    order = order[np.isfinite(found[order])]
    values = found[order]
    ends = np.flatnonzero(np.append(values[1:] != values[:-1], True)) if values.size else np.zeros(0, np.int64)
    return Clean(values[ends], ends, client[order])


def thresholds(truth: Truth, evidence: Floats, draws: Draws, targets: Floats, scope: str = ALL) -> Thresholds:
    """`targets`: a row for each resample. Where no threshold gives so many, everything that can be said is flagged."""
    clean = clean_sessions(truth, evidence, float(targets.max()), scope)
    at, share = np.full(targets.shape, np.inf), np.zeros(targets.shape)
    if not clean.values.size:
        return Thresholds(at, share)
    sessions = _clean_sessions(truth, draws, scope)
    for row in range(len(draws)):
        reached = np.cumsum(draws[row][clean.client], dtype=np.int64)[clean.ends]
        wanted = targets[row] * sessions[row]
        place = np.minimum(np.searchsorted(reached, wanted), clean.values.size - 1)
        below = np.where(place > 0, reached[np.maximum(place - 1, 0)], 0)
        tied = np.maximum(reached[place] - below, 1)
        at[row] = clean.values[place]
        share[row] = np.clip((wanted - below) / tied, 0.0, 1.0)
    return Thresholds(at, share)


def _clean_sessions(truth: Truth, draws: Draws, scope: str) -> Floats:
    return weigh(draws, per_client(truth, truth.clean_in(scope)))


def false_alarms(truth: Truth, evidence: Floats, threshold: float, draws: Draws, scope: str = ALL) -> Floats:
    """Per clean session, of a rule at a fixed threshold, for each resample."""
    flagged = per_client(truth, truth.clean_in(scope) & (evidence > threshold))
    return weigh(draws, flagged) / _clean_sessions(truth, draws, scope)


class Caught(NamedTuple):
    """The share of ruptures caught: resamples by targets by cells; NaN in a cell without ruptures."""

    within: Floats
    """Cells by onset with the false alarms equal in each band of sessions."""
    one_threshold: Floats
    """All cells with the one threshold for all sessions."""


def sensitivity(truth: Truth, evidence: Floats, draws: Draws, at: Mapping[str, Thresholds]) -> Caught:
    """`at`: for each scope."""
    seen = {scope: _Seen(*most_in_windows(truth, truth.only(scope, evidence))) for scope in SCOPES}
    members = membership(truth)
    overall = np.array([band == ALL for _, band in CELLS])
    rows, targets = at[ALL].at.shape
    found = Caught(*(np.empty((rows, targets, len(CELLS))) for _ in range(2)))
    for begin in range(0, rows, _CHUNK):
        part = slice(begin, begin + _CHUNK)
        drawn = draws[part][:, truth.rupture_client].astype(np.float32)
        count = drawn @ members
        for target in range(targets):
            one, own = (_chances(seen, at, (part, target), scopes) for scopes in ((ALL,), BANDS))
            with np.errstate(invalid="ignore"):
                found.one_threshold[part, target] = ((one * drawn) @ members) / count
                within = ((own * drawn) @ members) / count
            found.within[part, target] = np.where(overall, found.one_threshold[part, target], within)
    return found


class _Seen(NamedTuple):
    """Of each rupture: the most evidence in the sessions of a scope, and how many have just that much."""

    most: Floats
    ties: Places


def _chances(
    seen: Mapping[str, _Seen], at: Mapping[str, Thresholds], where: tuple[slice, int], scopes: Sequence[str]
) -> np.typing.NDArray[np.float32]:
    """How surely each rupture is caught in any of the scopes, resamples by ruptures."""
    missed = np.ones((), np.float32)
    for scope in scopes:
        missed = missed * (1 - _caught(seen[scope], at[scope].at[where], at[scope].share[where]))
    return np.asarray(1 - missed, np.float32)


def _caught(seen: _Seen, at: Floats, share: Floats) -> np.typing.NDArray[np.float32]:
    above = (seen.most[None, :] > at[:, None]).astype(np.float32)
    row, rupture = np.nonzero(seen.most[None, :] == at[:, None])
    above[row, rupture] = 1 - (1 - share[row]) ** seen.ties[rupture]
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


def per_client(truth: Truth, values: Floats | Marks) -> Floats:
    return np.asarray(np.bincount(truth.client, values, minlength=truth.clients), np.float64)
