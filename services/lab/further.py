"""What the one table does not show: long declines, repairs, and clinics unlike the one it is made on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, NamedTuple, TypeVar

import numpy as np

from schemas.instruments import Prior, Source
from services.alerts.domain import policy as policies
from services.lab.bootstrap import Draws, Interval, interval, resamples
from services.lab.clinics import CLINICS, instrument_of
from services.lab.decline import POINTS, told_of
from services.lab.evaluate import CELLS, false_alarms, sensitivity, thresholds
from services.lab.fit import fit
from services.lab.generator import simulate
from services.lab.population import Course, Floats
from services.lab.repairs import Noticed, follow, noticed
from services.lab.report import said, table
from services.lab.rules import DEFAULT_RULE, rules
from services.lab.seen import scale_of
from services.lab.tried import Told, evidence_of_all, over_cores
from services.lab.truth import ALL, SCOPES, Truth, case, truth
from services.scoring.domain.config import DEFAULT, EngineConfig

RATE: Final = 0.01
LIVE_POLICY: Final = f"policy {policies.DEFAULT.name}"
COMPARED: Final = (
    DEFAULT_RULE,
    "Tobit-Bayes (rank 1)",
    "own running mean",
    "drop since last",
    "CUSUM of own residuals",
)
"""The rules that come nearest in the table."""
_SEED: Final = 9_201
_RESAMPLES: Final = 400
_OVERALL: Final = CELLS.index((ALL, ALL))


class Apart(NamedTuple):
    """One rule at `RATE`: long declines by `POINTS`, and repairs."""

    rule: str
    declines: tuple[Interval, ...]
    repairs: Noticed


class Abroad(NamedTuple):
    """One clinic, the engine with what is shipped: caught at `RATE`, and false alarms at the shipped threshold."""

    clinic: str
    ruptures: int
    caught: tuple[Interval, ...]
    """By `COMPARED`."""
    best_less_default: tuple[str, Interval]
    realised: Interval
    fitted: Fitted | None
    """The same after `fit` on other clients of the clinic, where it was asked for."""


class Fitted(NamedTuple):
    """The engine with the clinic's own parameters: evidence at its 1 in 100, and the whole policy."""

    caught: Interval
    realised: Interval
    policy: Interval


def apart(clients: int, cores: int, told: Told) -> list[Apart]:
    """Every rule with a dial on its own; thresholds from the clinic of the table."""
    names = [rule.name for rule in rules() if rule.dial is not None]
    return list(_telling(over_cores(partial(_apart, clients), names, cores), told))


def abroad(clients: int, learned_from: int, cores: int, told: Told) -> list[Abroad]:
    """Every invented clinic; `learned_from`: how many other clients of it the engine is fitted to, 0 for not at all."""
    return list(_telling(over_cores(partial(_abroad, clients, learned_from), list(CLINICS), cores), told))


def _apart(clients: int, name: str) -> Apart:
    rule = next(each for each in rules() if each.name == name)
    courses = simulate(_SEED, clients, CLINICS["typical"])
    facts = truth([case(course) for course in courses])
    draws = resamples(_SEED, clients, _RESAMPLES)
    evidence = evidence_of_all([rule], courses)[name]
    at = float(thresholds(facts, evidence, draws[:1], np.array([[RATE]])).at[0, 0])
    return Apart(
        name,
        tuple(told_of(rule, at, clients, points) for points in POINTS),
        noticed(follow(rule, at, courses), draws),
    )


def _abroad(clients: int, learned_from: int, clinic: str) -> Abroad:
    known = {rule.name: rule for rule in rules(instrument=instrument_of(CLINICS[clinic]))}
    compared = [known[name] for name in COMPARED]
    courses = simulate(_SEED, clients, CLINICS[clinic])
    facts = truth([case(course) for course in courses])
    evidence = evidence_of_all(compared, courses)
    draws = resamples(_SEED, len(courses), _RESAMPLES)
    caught = {rule.name: _caught(facts, evidence[rule.name], draws) for rule in compared}
    best = max(COMPARED[1:], key=lambda name: float(caught[name][0]))
    default = compared[0]
    return Abroad(
        clinic,
        int(facts.onset.size),
        tuple(interval(caught[name]) for name in COMPARED),
        (best, interval(caught[best] - caught[DEFAULT_RULE])),
        interval(false_alarms(facts, evidence[DEFAULT_RULE], default.threshold, draws)),
        _fitted(clinic, learned_from, courses, draws) if learned_from else None,
    )


def _fitted(clinic: str, learned_from: int, courses: Sequence[Course], draws: Draws) -> Fitted:
    population = CLINICS[clinic]
    instrument = instrument_of(population)
    others = simulate(_SEED + 1, learned_from, population)
    engine = fitted_engine(instrument, [course.totals for course in others])
    known = {rule.name: rule for rule in rules(engine, instrument)}
    default, policy = known[DEFAULT_RULE], known[LIVE_POLICY]
    evidence = evidence_of_all([default, policy], courses)
    facts = truth([case(course) for course in courses])
    return Fitted(
        interval(_caught(facts, evidence[DEFAULT_RULE], draws)),
        interval(false_alarms(facts, evidence[DEFAULT_RULE], default.threshold, draws)),
        interval(false_alarms(facts, evidence[LIVE_POLICY], policy.threshold, draws)),
    )


def fitted_engine(instrument: str, series: Sequence[Sequence[float]]) -> EngineConfig:
    """The engine with one instrument's parameters from these clients' totals."""
    found = fit(scale_of(DEFAULT, instrument).instrument, series)
    prior = Prior(found.mu0, found.sb, found.sw, Source("fitted to a simulated clinic", "simulated"))
    return replace(DEFAULT, priors=((instrument, prior),), rates=((instrument, found.rates),))


def _caught(facts: Truth, evidence: Floats, draws: Draws) -> Floats:
    """The share of all ruptures, for each resample."""
    at = thresholds(facts, evidence, draws, np.full((len(draws), 1), RATE))
    return sensitivity(facts, evidence, draws, dict.fromkeys(SCOPES, at)).one_threshold[:, 0, _OVERALL]


_Row = TypeVar("_Row")


def _telling(rows: Iterable[_Row], told: Told) -> Iterator[_Row]:
    for row in rows:
        told()
        yield row


# ------------------------------------------------------------------ as markdown


def markdown(alone: Sequence[Apart], elsewhere: Sequence[Abroad]) -> str:
    """Both tables."""
    return "\n".join([*_declines(alone), *_clinics(elsewhere)])


def _declines(alone: Sequence[Apart]) -> Iterator[str]:
    ended = max(each.repairs.ended for each in alone)
    yield f"### Long declines and repairs, at {RATE:.2f} false alarms per clean session\n"
    yield f"Repairs: of the caught ruptures that ended while the therapy went on (up to {ended:,} of them).\n"
    falls = [f"{points:g} a session" if points else "no decline" for points in POINTS]
    yield from table(
        ("rule", *falls, "repair seen early", "at once", "confirmed within 3"),
        ((each.rule, *map(said, each.declines), *map(said, each.repairs[1:])) for each in alone),
    )


def _clinics(elsewhere: Sequence[Abroad]) -> Iterator[str]:
    yield f"\n### Other clinics, with the shipped priors, at {RATE:.2f} false alarms per clean session\n"
    yield from table(
        ("clinic", "ruptures", *COMPARED, "best of the others less default"),
        (
            (each.clinic, f"{each.ruptures:,}", *map(said, each.caught), _difference(*each.best_less_default))
            for each in elsewhere
        ),
    )
    yield "\n### What the threshold for 1 in 100 really gives there\n"
    yield "False alarms per clean session, shipped and after `fit` on other clients of the same clinic.\n"
    yield from table(
        ("clinic", "shipped", "fitted", f"fitted, {LIVE_POLICY}", f"caught at {RATE:.2f}, shipped", "fitted"),
        (_calibration(each) for each in elsewhere),
    )


def _calibration(each: Abroad) -> tuple[str, ...]:
    caught = said(each.caught[0])
    if each.fitted is None:
        return each.clinic, _rate(each.realised), "-", "-", caught, "-"
    own = each.fitted
    return each.clinic, _rate(each.realised), _rate(own.realised), _rate(own.policy), caught, said(own.caught)


def _rate(found: Interval) -> str:
    return f"{found.estimate:.4f} [{found.low:.4f}, {found.high:.4f}]"


def _difference(rule: str, found: Interval) -> str:
    return f"{found.estimate:+.3f} [{found.low:+.3f}, {found.high:+.3f}] {rule}"
