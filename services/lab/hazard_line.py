"""Above which chance of leaving within three sessions few sessions lie: the line that policy speaks of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.lab.population import Floats, Marks
from services.scoring.domain.hazard import FIRST_SESSIONS, HORIZON, Cause, HazardModel

if TYPE_CHECKING:
    from services.lab.hazard_fit import Table

SHARE: Final = 0.02
"""Of all sessions: about two words in a hundred sessions, fewer where runs of them are one."""


class Line(NamedTuple):
    """`value`: the chance; `card`: what share of sessions reached it, and after how many of those it came true."""

    value: float
    card: Mapping[str, float]


def line(model: HazardModel, table: Table, dropout: Floats, other: Floats) -> Line:
    """From each row's logits of both ends, the first out of sample."""
    chance = within(model, table.session, dropout, other)
    value = float(np.quantile(chance, 1 - SHARE, method="higher"))
    above, left = chance >= value, within_three(table)
    card = {"estimate": value, "share": float(above.mean()), "expected": float(chance[above].mean())}
    return Line(value, {**card, "seen": float(left[above].mean()), "seen of all": float(left.mean())})


def within(model: HazardModel, session: NDArray[np.int64], dropout: Floats, other: Floats) -> Floats:
    """`hazard.weigh(...).within_three` of many rows: only the session's number moves on."""
    staying, left = np.ones(session.size), np.zeros(session.size)
    for ahead in range(HORIZON):
        leaves = _chance(dropout + _time(model.dropout, session + ahead) - _time(model.dropout, session))
        ends = _chance(other + _time(model.other_end, session + ahead) - _time(model.other_end, session))
        left += staying * leaves
        staying *= (1 - leaves) * (1 - ends)
    return left


def within_three(table: Table) -> Marks:
    """Whether this session or one of the two after it was the last one, by dropout."""
    last = np.full(int(table.person.max()) + 1, np.inf)
    last[table.person[table.dropped_out]] = table.session[table.dropped_out]
    return np.asarray(last[table.person] - table.session < HORIZON)


def _time(cause: Cause, session: NDArray[np.int64]) -> Floats:
    early = np.asarray(cause.first)[np.minimum(session, FIRST_SESSIONS) - 1]
    late = cause.later + cause.slope * np.log(session / (FIRST_SESSIONS + 1))
    return np.where(session <= FIRST_SESSIONS, early, late)


def _chance(logit: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-logit)))
