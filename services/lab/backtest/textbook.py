"""The rules of textbooks and other products, beside policies: what a clinic that uses one of them would have been told.

They look at the totals of one form, session by session, as `services.lab.rules` has them at their published limits; an
alert of theirs is a session in which they hold, with the cooldown of our policies between two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Final, NamedTuple
from uuid import UUID, uuid5

import numpy as np

from services.alerts.domain.policy import DEFAULT
from services.alerts.domain.wanted import ALERTS, Wanted
from services.lab.population import Course
from services.lab.rules import Rule, rules
from services.platform.errors import ConfigurationError
from services.scoring.domain.config import EngineConfig
from services.scoring.wire import moment

TEXTBOOK: Final[Mapping[str, str]] = MappingProxyType(
    {
        "cut-off-36": "total < 36",
        "drop-3": "drop >= 3",
        "drop-5": "drop >= 5",
        "drop-6": "drop >= 6",
        "individuals-chart-4": "individuals chart 3 sigma, n >= 4",
        "individuals-chart-8": "individuals chart 3 sigma, n >= 8",
        "own-mean": "own running mean",
        "ewma": "EWMA of own residuals",
        "cusum": "CUSUM of own residuals",
        "stiles": "Stiles 2 SD",
        "strauss": "Strauss 1 SD",
        "openfit": "OpenFIT",
    }
)
"""By the name it is asked for; points are the SRS's, of 40, and the same share of other scales."""


class Rated(NamedTuple):
    """One session's rating of one form: when, and its total upwards."""

    at: int
    total: float


def known(names: Sequence[str]) -> tuple[str, ...]:
    """The same names, once each; `all` stands for every one.

    Raises:
        ConfigurationError: one that is none.
    """
    wanted = dict.fromkeys(each for name in names for each in (TEXTBOOK if name == "all" else (name,)))
    if wrong := [name for name in wanted if name not in TEXTBOOK]:
        raise ConfigurationError(f"no textbook rule {wrong[0]}", hint=f"all, or one of {', '.join(TEXTBOOK)}")
    return tuple(wanted)


def held(engine: EngineConfig, instrument: str, name: str, ratings: Sequence[Rated]) -> list[bool]:
    """In which of these sessions the rule holds."""
    rule = _rules(engine, instrument)[TEXTBOOK[name]]
    totals = tuple([each.total for each in ratings])
    course = Course(totals, items=(), ruptured=(), expressed=(), onset=(), dropped_out=False)
    with np.errstate(invalid="ignore"):
        return [bool(each) for each in np.asarray(rule.evidence(course)) > rule.threshold]


def alerts(client: str, name: str, ratings: Sequence[Rated], spoke: Sequence[bool]) -> dict[UUID, Wanted]:
    """A new one where it holds, unless the last is not long ago."""
    found: dict[UUID, Wanted] = {}
    last = -DEFAULT.cooldown_sessions
    for session, (each, holds) in enumerate(zip(ratings, spoke, strict=True)):
        at = moment(each.at)
        if holds and session - last >= DEFAULT.cooldown_sessions and at is not None:
            named, last = uuid5(ALERTS, f"{client}|{name}|{session}"), session
            found[named] = Wanted(named, "rupture-possible", "amber", "open", name, name, at, historical=False)
    return found


@cache
def _rules(engine: EngineConfig, instrument: str) -> Mapping[str, Rule]:
    return {rule.name: rule for rule in rules(engine, instrument)}
