"""How near the default comes to the most that anybody could know, on the generator of appendix A."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple

import numpy as np

from services.lab.bootstrap import Interval, interval, resamples
from services.lab.clinics import WITH_A_BOUND, instrument_of
from services.lab.evaluate import CELLS, TARGETS, sensitivity, thresholds
from services.lab.further import fitted_engine
from services.lab.generator import simulate
from services.lab.oracle import bound
from services.lab.population import TYPICAL, Floats, Population
from services.lab.report import said, table
from services.lab.rules import DEFAULT_RULE, rules
from services.lab.tried import HELD_OUT, Told, evidence_of_all, over_cores
from services.lab.truth import ALL, SCOPES, Case, case, truth
from services.scoring.domain.config import EngineConfig

RECENTLY: Final = "oracle: began in the last two sessions"
NOW: Final = "oracle: began now"
FITTED: Final = f"{DEFAULT_RULE}, fitted"
COMPARED: Final = (DEFAULT_RULE, "Tobit-Bayes (rank 1)")
RATE: Final = 0.01
_LEARNING: Final = 8_700
_AT_ONCE: Final = 100
_RESAMPLES: Final = 1_000
_SEED: Final = 20_263
_OVERALL: Final = CELLS.index((ALL, ALL))


class Held(NamedTuple):
    """One rule at one rate of false alarms: what it caught, and as a share of what each oracle caught."""

    rule: str
    rate: float
    caught: Interval
    of_recently: Interval
    of_now: Interval


class _Part(NamedTuple):
    cases: list[Case]
    evidence: dict[str, Floats]


class Tried(NamedTuple):
    """Whose clients, and the engine that was fitted to others of them, if any."""

    clinic: Population = TYPICAL
    fitted: EngineConfig | None = None


_HOME: Final = Tried()


def bounded(
    clients: int, seeds: Sequence[int], cores: int, told: Told = lambda: None, where: Tried = _HOME
) -> list[Held]:
    """So many clients for each seed; paired by client."""
    parts = []
    for part in over_cores(partial(_part, clients, where), seeds, cores):
        parts.append(part)
        told()
    facts = truth([each for part in parts for each in part.cases])
    draws = resamples(_SEED, facts.clients, _RESAMPLES)
    caught: dict[str, Floats] = {}
    for name in parts[0].evidence:
        evidence = np.concatenate([part.evidence[name] for part in parts])
        at = {scope: thresholds(facts, evidence, draws, np.tile(TARGETS, (len(draws), 1)), scope) for scope in SCOPES}
        caught[name] = sensitivity(facts, evidence, draws, at).one_threshold[:, :, _OVERALL]
    return [_held(caught, name, column) for column in range(len(TARGETS)) for name in caught]


def _held(caught: dict[str, Floats], name: str, column: int) -> Held:
    ours = caught[name][:, column]
    with np.errstate(divide="ignore", invalid="ignore"):  # of few clients a resample may hold nothing to catch
        shares = [interval(ours / caught[oracle][:, column]) for oracle in (RECENTLY, NOW)]
    return Held(name, TARGETS[column], interval(ours), *shares)


def _part(clients: int, where: Tried, seed: int) -> _Part:
    courses = simulate(seed, clients, where.clinic)
    found = evidence_of_all([rule for rule in rules() if rule.name in COMPARED], courses)
    if where.fitted is not None:
        own = [rule for rule in rules(where.fitted) if rule.name == DEFAULT_RULE]
        found[FITTED] = evidence_of_all(own, courses)[DEFAULT_RULE]
    recently: list[Floats] = []
    now: list[Floats] = []
    for begin in range(0, clients, _AT_ONCE):
        seen = bound(seed * 1_000 + begin, courses[begin : begin + _AT_ONCE], where.clinic)
        recently += seen.recently
        now += seen.now
    for name, rows in ((RECENTLY, recently), (NOW, now)):
        joined = np.concatenate(rows)
        found[name] = np.where(np.isnan(joined), -np.inf, joined)
    return _Part([case(course) for course in courses], found)


def markdown(found: Sequence[Held], clients: int) -> str:
    """A row for each rule and rate."""
    rows = [
        (f"{each.rate:.3f}", each.rule, said(each.caught), said(each.of_recently), said(each.of_now)) for each in found
    ]
    head = ("false alarms", "rule", "caught", "of the oracle of the last two sessions", "of the oracle of now")
    return "\n".join([f"{clients:,} clients of appendix A, held-out seeds.", "", *table(head, rows)])


def everything(clients: int, cores: int, told: Told = lambda: None) -> str:
    """The table, over the held-out seeds."""
    return markdown(bounded(clients, HELD_OUT, cores, told), clients * len(HELD_OUT))


class Abroad(NamedTuple):
    """One clinic at `RATE`, after `fit` on other clients of it: what the default caught, and of what the oracle did."""

    clinic: str
    oracle: Interval
    shipped: Held
    fitted: Held


def abroad(
    clients: int, learned_from: int, seeds: Sequence[int], cores: int, told: Told = lambda: None
) -> list[Abroad]:
    """Clinics with other means, variances, ceilings and tails than the shipped prior's."""
    found = []
    for name, clinic in WITH_A_BOUND.items():
        series = [course.totals for course in simulate(_LEARNING, learned_from, clinic)]
        own = fitted_engine(instrument_of(clinic), series)
        held = bounded(clients, seeds, cores, told, Tried(clinic, own))
        at = {each.rule: each for each in held if each.rate == RATE}
        found.append(Abroad(name, at[RECENTLY].caught, at[DEFAULT_RULE], at[FITTED]))
    return found


def abroad_markdown(found: Sequence[Abroad], clients: int) -> str:
    """A row for each clinic."""
    rows = []
    for each in found:
        own = each.fitted
        figures = (each.oracle, each.shipped.of_recently, own.caught, own.of_recently, own.of_now)
        rows.append((each.clinic, *map(said, figures)))
    head = ("clinic", "oracle caught", "shipped, of it", "fitted, caught", "fitted, of it", "of the oracle of now")
    return "\n".join(
        [f"{clients:,} clients a clinic, at {RATE} false alarms per clean session.", "", *table(head, rows)]
    )
