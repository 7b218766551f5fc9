"""How near the default comes to the most that anybody could know, on the generator of appendix A."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple

import numpy as np

from services.lab.bootstrap import Interval, interval, resamples
from services.lab.evaluate import CELLS, TARGETS, sensitivity, thresholds
from services.lab.generator import simulate
from services.lab.oracle import bound
from services.lab.population import Floats
from services.lab.report import said, table
from services.lab.rules import DEFAULT_RULE, rules
from services.lab.tried import HELD_OUT, Told, evidence_of_all, over_cores
from services.lab.truth import ALL, SCOPES, Case, case, truth

RECENTLY: Final = "oracle: began in the last two sessions"
NOW: Final = "oracle: began now"
COMPARED: Final = (DEFAULT_RULE, "Tobit-Bayes (rank 1)")
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


def bounded(clients: int, seeds: Sequence[int], cores: int, told: Told = lambda: None) -> list[Held]:
    """So many clients for each seed; paired by client."""
    parts = []
    for part in over_cores(partial(_part, clients), seeds, cores):
        parts.append(part)
        told()
    facts = truth([each for part in parts for each in part.cases])
    draws = resamples(_SEED, facts.clients, _RESAMPLES)
    caught: dict[str, Floats] = {}
    for name in (*COMPARED, RECENTLY, NOW):
        evidence = np.concatenate([part.evidence[name] for part in parts])
        at = {scope: thresholds(facts, evidence, draws, np.tile(TARGETS, (len(draws), 1)), scope) for scope in SCOPES}
        caught[name] = sensitivity(facts, evidence, draws, at).one_threshold[:, :, _OVERALL]
    return [_held(caught, name, column) for column in range(len(TARGETS)) for name in caught]


def _held(caught: dict[str, Floats], name: str, column: int) -> Held:
    ours = caught[name][:, column]
    shares = (interval(ours / caught[oracle][:, column]) for oracle in (RECENTLY, NOW))
    return Held(name, TARGETS[column], interval(ours), *shares)


def _part(clients: int, seed: int) -> _Part:
    courses = simulate(seed, clients)
    known = [rule for rule in rules() if rule.name in COMPARED]
    found = evidence_of_all(known, courses)
    recently: list[Floats] = []
    now: list[Floats] = []
    for begin in range(0, clients, _AT_ONCE):
        seen = bound(seed * 1_000 + begin, courses[begin : begin + _AT_ONCE])
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
