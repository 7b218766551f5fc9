"""A decline that never stops: how many clients a threshold tells about whose mean falls by so much a session.

Twelve sessions, the latent level falling from the fifth one on; nobody leaves, nothing else happens. A rule is asked at
any session from the fifth on; where nothing falls, what it then says is false. Domain brief 2.9 has figures for falls
in the ratings themselves, which are easier: here the ceiling hides the beginning of a fall, as it does in a clinic.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from services.lab.bootstrap import Interval
from services.lab.population import TYPICAL, Course
from services.lab.rules import Rule
from services.lab.tried import evidence_of

SESSIONS: Final = 12
BEGINS: Final = 5
POINTS: Final = (0.0, 0.5, 1.0)
_SEED: Final = 9101
_ITEM_NOISE: Final = 0.45


def declines(seed: int, clients: int, points: float) -> list[Course]:
    """SRS courses of appendix A's clinic, without ruptures or leaving."""
    rng = np.random.default_rng([seed, 3])
    clinic = TYPICAL
    level = clinic.mean + clinic.between_sd * rng.standard_normal((clients, 1))
    state = clinic.within_sd * rng.standard_normal(clients)
    states = []
    fresh = clinic.within_sd * np.sqrt(1 - clinic.autocorrelation**2)
    for _ in range(SESSIONS):
        state = clinic.autocorrelation * state + fresh * rng.standard_normal(clients)
        states.append(state)
    session = np.arange(1, SESSIONS + 1)
    latent = level + clinic.growth * np.log(session) - points * np.maximum(0, session - BEGINS + 1)
    latent += np.array(states).T
    items = np.clip(latent[:, :, None] / 4 + _ITEM_NOISE * rng.standard_normal((clients, SESSIONS, 4)), 0, 10).round(1)
    return [_course(client) for client in items.tolist()]


def told_of(rule: Rule, threshold: float, clients: int, points: float) -> Interval:
    """The share of clients flagged from the fifth session on, with its 95 % interval (clients are independent)."""
    evidence = evidence_of(rule, declines(_SEED, clients, points)).reshape(clients, SESSIONS)
    share = float((evidence[:, BEGINS - 1 :] > threshold).any(axis=1).mean())
    half = 1.96 * float(np.sqrt(share * (1 - share) / clients))
    return Interval(share, max(0.0, share - half), min(1.0, share + half))


def _course(items: list[list[float]]) -> Course:
    nothing = (False,) * SESSIONS
    return Course(
        totals=tuple(round(sum(answers), 1) for answers in items),
        items=tuple(tuple(answers) for answers in items),
        ruptured=nothing,
        expressed=nothing,
        onset=nothing,
        dropped_out=False,
    )
