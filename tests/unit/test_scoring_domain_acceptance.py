"""The detectors against the reference they were specified by. Simulated courses: no clinical evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from math import erfc, log, sqrt

import numpy as np
import pytest
from numpy.typing import NDArray

from services.lab.generator import Course, simulate
from services.scoring.domain import drift, drop, rolling
from services.scoring.domain.config import DEFAULT, SeriesConfig, series_config

Flags = list[bool]
Rule = Callable[[tuple[float, ...]], Flags]
THETA = np.linspace(25, 55, 241)


def srs() -> SeriesConfig:
    config = series_config(DEFAULT, "srs@3")
    assert isinstance(config, SeriesConfig)
    return config


SRS = srs()


# ------------------------------------------------------------------ the reference, as the specification prints it


def normal_cdf(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([0.5 * erfc(-each / sqrt(2)) for each in z])


def reference_tobit(totals: tuple[float, ...]) -> Flags:
    """Recomputes the whole posterior rating by rating, on the specification's grid."""
    logs = -((THETA - 39) ** 2) / (2 * 3.6**2)
    flags = []
    for session, total in enumerate(totals):
        weights = np.exp(logs - logs.max())
        weights /= weights.sum()
        tail = (weights * normal_cdf((total + 0.05 - THETA) / 2.4)).sum()
        drop_in_points = (weights * np.minimum(THETA, 40)).sum() - total
        flags.append(bool(session >= 1 and tail < 0.02 and drop_in_points >= 3))
        if not flags[-1]:
            logs = logs + reference_likelihood(total)
    return flags


def reference_likelihood(total: float) -> NDArray[np.float64]:
    if total >= 39.95:
        return np.array([log(0.5 * erfc(z / sqrt(2))) for z in (39.95 - THETA) / 2.4])
    return -(((total - THETA) / 2.4) ** 2) / 2


def reference_ewma(totals: tuple[float, ...]) -> Flags:
    flags, base, z, sessions = [], [totals[0]], 0.0, 0
    for total in totals[1:]:
        n, own = len(base), len(base) - 1
        usual = (1.5 * 37 + sum(base)) / (1.5 + n)
        moving = np.abs(np.diff(base)).mean() / 1.128 if own else 0.0
        spread = sqrt((6 * 2.2**2 + own * moving**2) / (6 + own))
        z = 0.3 * min((total - usual) / spread / sqrt(1 + 1 / (1.5 + n)), 1.0) + 0.7 * z
        sessions += 1
        flags.append(bool(z < -2.5 * sqrt(0.3 / 1.7 * (1 - 0.7 ** (2 * sessions)))))
        if flags[-1]:
            z, sessions = 0.0, 0
        else:
            base.append(total)
    return [False, *flags]


# ------------------------------------------------------------------ ours, with fic-default-1's thresholds


def tobit(totals: tuple[float, ...], config: rolling.Config = SRS.rolling) -> Flags:
    state, flags = rolling.start(config), []
    for total in totals:
        state, reading = rolling.step(config, state, total)
        seen = reading.expected
        flags.append(seen is not None and seen.tail_probability < 0.02 and seen.drop >= 3)
    return flags


def ewma(totals: tuple[float, ...]) -> Flags:
    state, flags = drift.start(SRS.drift), []
    for total in totals:
        state, reading = drift.step(SRS.drift, state, total)
        flags.append(reading.below_sds is not None and reading.below_sds > 2.5)
    return flags


def reliable(totals: tuple[float, ...]) -> Flags:
    """A fall of 5 points; like the reference, in floating point as it comes."""
    state, flags = drop.start(drop.Config()), []
    for total in totals:
        state, reading = drop.step(drop.Config(), state, total)
        flags.append(reading.fall is not None and reading.fall >= 5 - 1e-9)
    return flags


def either(*rules: Rule) -> Rule:
    return lambda totals: [any(flags) for flags in zip(*(rule(totals) for rule in rules), strict=True)]


def with_cooldown(rule: Rule, sessions: int = 3) -> Rule:
    def cooled(totals: tuple[float, ...]) -> Flags:
        flags, last = [], -sessions
        for session, flag in enumerate(rule(totals)):
            flags.append(flag and session - last >= sessions)
            last = session if flags[-1] else last
        return flags

    return cooled


@dataclass
class Figures:
    """Per clean session, per 100 sessions, per expressed onset in sessions 2 to 4."""

    false_alarms: float
    alerts_per_100: float
    predictive_value: float
    early_sensitivity: float


def figures(courses: list[Course], rule: Rule) -> Figures:
    flagged = [(course, rule(course.totals)) for course in courses]
    alerts = sum(sum(flags) for _, flags in flagged)
    clean = [flag for course, flags in flagged for flag in clean_flags(course, flags)]
    hits = sum(
        flag and expressed for course, flags in flagged for flag, expressed in zip(flags, course.expressed, strict=True)
    )
    early = [caught for course, flags in flagged for caught in early_onsets(course, flags)]
    return Figures(
        false_alarms=sum(clean) / len(clean),
        alerts_per_100=100 * alerts / sum(len(flags) for _, flags in flagged),
        predictive_value=hits / alerts,
        early_sensitivity=sum(early) / len(early),
    )


def clean_flags(course: Course, flags: Flags) -> Iterable[bool]:
    """Flags of sessions with no rupture in them nor in the one before."""
    for (before, now), flag in zip(pairwise((False, *course.ruptured)), flags, strict=True):
        if not before and not now:
            yield flag


def early_onsets(course: Course, flags: Flags) -> Iterable[bool]:
    """Whether each expressed onset in sessions 2 to 4 was flagged then or at the next."""
    for session in range(1, min(4, len(flags))):
        if course.onset[session] and course.expressed[session]:
            yield any(flags[session : session + 2])


@pytest.fixture(scope="module")
def courses() -> list[Course]:
    return simulate(seed=7, clients=2_000)


def test_the_filter_decides_as_the_reference_on_500_clients(courses: list[Course]) -> None:
    """Four sufficient numbers decide exactly as the reference that keeps a whole posterior."""
    for course in courses[:500]:
        assert tobit(course.totals) == reference_tobit(course.totals)


def test_the_grid_does_not_decide(courses: list[Course]) -> None:
    """A grid four times as fine gives the same decisions: the grid's width and step are no hidden parameters."""
    fine = replace(SRS.rolling, grid_points=961)
    for course in courses[500:600]:
        assert tobit(course.totals, fine) == tobit(course.totals)


def test_the_drift_chart_decides_as_the_reference(courses: list[Course]) -> None:
    """Running sums decide exactly as the reference that keeps every rating."""
    for course in courses:
        assert ewma(course.totals) == reference_ewma(course.totals)


def test_rank_1_meets_its_acceptance_figures(courses: list[Course]) -> None:
    """False alarms <= .015 a session, predictive value >= .45, early sensitivity >= .40 (domain brief, section 7)."""
    seen = figures(courses, tobit)
    assert seen.false_alarms <= 0.015
    assert seen.predictive_value >= 0.45
    assert seen.early_sensitivity >= 0.40


def test_the_default_policy_meets_its_acceptance_figures(courses: list[Course]) -> None:
    """Ranks 1 or 3 with cooldown 3: at most 2.6 alerts per 100 sessions, false alarms <= .015."""
    seen = figures(courses, with_cooldown(either(tobit, ewma)))
    assert seen.alerts_per_100 <= 2.6
    assert seen.false_alarms <= 0.015


def test_the_sensitive_preset_meets_its_acceptance_figure(courses: list[Course]) -> None:
    """Adding rank 2: at most 3.6 alerts per 100 sessions."""
    assert figures(courses, with_cooldown(either(tobit, ewma, reliable))).alerts_per_100 <= 3.6
