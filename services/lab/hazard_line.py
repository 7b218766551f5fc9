"""Above which chance of leaving within three sessions few sessions lie: the line that policy speaks of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.lab.hazard_card import recalibration
from services.lab.population import Floats, Marks
from services.scoring.domain.hazard import FIRST_SESSIONS, HORIZON, Cause, HazardModel

if TYPE_CHECKING:
    from services.lab.hazard_fit import Table

SHARE: Final = 0.02
"""Of all sessions: about two words in a hundred sessions, fewer where runs of them are one."""


class Line(NamedTuple):
    """`value`: the chance; `card`: what share of sessions reached it, and after how many of those it came true.

    `within_three`: what makes such chances true (`HazardModel.within_three`).
    """

    value: float
    within_three: tuple[float, float]
    card: Mapping[str, float]


def line(model: HazardModel, table: Table, dropout: Floats, other: Floats) -> Line:
    """From each row's logits of both ends, the first out of sample; of open courses only what is known by now."""
    chance, known = within(model, table.session, dropout, other), _known(table)
    left, logit = within_three(table), np.log(chance / (1 - chance))
    intercept, slope = recalibration(logit[known], left[known])
    true = np.maximum(_chance(dropout), _chance(intercept + slope * logit))
    value = float(np.quantile(true, 1 - SHARE, method="higher"))
    above = (true >= value) & known
    card = {"estimate": value, "share": float((true >= value).mean()), "expected": float(true[above].mean())}
    seen = {"seen": float(left[above].mean()), "seen of all": float(left[known].mean())}
    return Line(value, (intercept, slope), card | seen)


def _known(table: Table) -> Marks:
    """Rows of which is known what followed for three sessions: of an open course, not the last two."""
    people = int(table.person.max()) + 1
    ended, last = np.zeros(people, bool), np.zeros(people)
    ended[table.person[table.dropped_out | table.other_end]] = True
    np.maximum.at(last, table.person, table.session)
    return np.asarray(ended[table.person] | (table.session <= last[table.person] - HORIZON + 1))


def within(model: HazardModel, session: NDArray[np.int64], dropout: Floats, other: Floats) -> Floats:
    """Of many rows, as `hazard.weigh` does before it is made true: only the session's number moves on."""
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
