"""A caseload tried with every rule: truth and evidence, made seed by seed on every core."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import Final, TypeVar

import numpy as np

from services.lab.clinics import CLINICS, instrument_of
from services.lab.generator import simulate
from services.lab.population import Course, Floats
from services.lab.rules import Rule, rules
from services.lab.truth import Case, Truth, case, truth

HELD_OUT: Final = tuple(range(9001, 9021))
"""Seeds of the published table: no parameter of any rule was chosen on them."""
_Given = TypeVar("_Given")
_Made = TypeVar("_Made")
Told = Callable[[], None]
"""Called when a part is done."""


@dataclass(frozen=True, slots=True)
class Tried:
    """`evidence`: of each rule, one number for each session; minus infinity where it cannot say."""

    rules: tuple[Rule, ...]
    truth: Truth
    evidence: dict[str, Floats]


@dataclass(frozen=True, slots=True)
class _Part:
    cases: list[Case]
    evidence: dict[str, Floats]


def tried(clinic: str, clients: int, seeds: Sequence[int], cores: int, told: Told = lambda: None) -> Tried:
    """So many clients for each seed; the result does not depend on the number of cores."""
    work = partial(_part, clinic, clients)
    parts = []
    for part in over_cores(work, seeds, cores):
        parts.append(part)
        told()
    known = rules(instrument=instrument_of(CLINICS[clinic]))
    gathered = {rule.name: np.concatenate([part.evidence[rule.name] for part in parts]) for rule in known}
    return Tried(known, truth([each for part in parts for each in part.cases]), gathered)


def over_cores(work: Callable[[_Given], _Made], given: Sequence[_Given], cores: int) -> Iterator[_Made]:
    """What each piece of work makes, in the order given."""
    if cores <= 1:
        yield from map(work, given)
        return
    with ProcessPoolExecutor(cores, mp_context=get_context("forkserver")) as pool:
        yield from pool.map(work, given)


def evidence_of(rule: Rule, courses: Sequence[Course]) -> Floats:
    """Of all sessions after each other."""
    return evidence_of_all([rule], courses)[rule.name]


def evidence_of_all(known: Sequence[Rule], courses: Sequence[Course]) -> dict[str, Floats]:
    """Course by course, so that rules that ask the same parts of the engine share their answer."""
    rows: dict[str, list[Floats]] = {rule.name: [] for rule in known}
    for course in courses:
        for rule in known:
            rows[rule.name].append(rule.evidence(course))
    return {name: _sayable(np.concatenate(found)) for name, found in rows.items()}


def _sayable(found: Floats) -> Floats:
    return np.where(np.isnan(found), -np.inf, found)


def _part(clinic: str, clients: int, seed: int) -> _Part:
    population = CLINICS[clinic]
    courses = simulate(seed, clients, population)
    known = rules(instrument=instrument_of(population))
    return _Part([case(course) for course in courses], evidence_of_all(known, courses))
