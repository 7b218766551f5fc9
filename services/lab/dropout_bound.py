"""What anybody could know about who drops out, from the ratings alone, and how much of it the hazard knows.

The generator's own hazard knows of ruptures that no rating shows. An observer who knows the generator, its parameters
and every item, and not the truth, is the bound: the particle filter's probability that a rupture is going on, put into
the generator's own hazard. Appendix A's ruptures, in clinics with other means, variances, ceilings and tails.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np

from services.lab.bootstrap import Interval, interval
from services.lab.clinics import WITH_A_BOUND
from services.lab.generator import simulate
from services.lab.hazard_card import Tried, auc, chance, drawn_again, slope
from services.lab.hazard_courses import RUPTURED, periods, true_logits
from services.lab.hazard_fit import logits, tabled
from services.lab.oracle import bound
from services.lab.population import Course, Floats, Population
from services.scoring.domain.hazard import HazardModel

EARLY: Final = 3
PARTICLES: Final = 600
_AT_ONCE: Final = 200
Told = Callable[[], None]


class Bounded(NamedTuple):
    """One clinic, or all together, in sessions 1 to 3: shares are of the AUC above chance."""

    name: str
    dropouts: int
    ceiling: Interval
    knowable: Interval
    ours: Interval
    of_knowable: Interval
    slope: Interval


class _Clinic(NamedTuple):
    tried: Tried
    truth: Floats
    knowable: Floats


class Size(NamedTuple):
    """Seed, clients a clinic, and resamples by person."""

    seed: int
    clients: int
    resamples: int


def bounded(
    model: HazardModel, size: Size, told: Told = lambda: None, names: Sequence[str] = tuple(WITH_A_BOUND)
) -> list[Bounded]:
    """Each clinic, then all together; the model was fitted on others."""
    found = {}
    for name in names:
        found[name] = _tried(model, size.seed, size.clients, WITH_A_BOUND[name])
        told()
    whole = found | {"together": _together(list(found.values()))}
    return [_reached(name, each, size.seed, size.resamples) for name, each in whole.items()]


def _tried(model: HazardModel, seed: int, clients: int, clinic: Population) -> _Clinic:
    courses = simulate(seed, clients, clinic)
    table = tabled(list(periods(courses, clinic)), keep=model.features)
    early = table.session <= EARLY
    truth = true_logits(courses, clinic)
    ruptured = np.array([each for course in courses for each in course.ruptured], float)
    without, active = truth[early] - RUPTURED * ruptured[early], _active(seed, courses, clinic)
    leaves = active * chance(without + RUPTURED) + (1 - active) * chance(without)
    tried = Tried(table.person[early], logits(model, table)[early], table.dropped_out[early])
    return _Clinic(tried, truth[early], np.log(leaves / (1 - leaves)))


def _active(seed: int, courses: Sequence[Course], clinic: Population) -> Floats:
    """The probability that a rupture is going on, at each early session of each course."""
    found: list[Floats] = []
    for begin in range(0, len(courses), _AT_ONCE):
        some = courses[begin : begin + _AT_ONCE]
        found += bound(seed + begin, some, clinic, PARTICLES, EARLY).active
    return np.concatenate(found)


def _together(clinics: Sequence[_Clinic]) -> _Clinic:
    """Persons of different clinics are different persons."""
    offsets = np.cumsum([0, *[int(each.tried.person.max()) + 1 for each in clinics]])
    person = np.concatenate([each.tried.person + by for each, by in zip(clinics, offsets, strict=False)])
    logit, happened, truth, knowable = (
        np.concatenate(parts)
        for parts in zip(
            *[(each.tried.logit, each.tried.happened, each.truth, each.knowable) for each in clinics], strict=True
        )
    )
    return _Clinic(Tried(person, logit, happened), truth, knowable)


def _reached(name: str, clinic: _Clinic, seed: int, resamples: int) -> Bounded:
    person, happened = clinic.tried.person, clinic.tried.happened
    ours, truth, knowable = (
        list(drawn_again(Tried(person, logit, happened), seed, resamples))
        for logit in (clinic.tried.logit, clinic.truth, clinic.knowable)
    )
    above = [np.array([auc(*each) for each in drawn]) - 0.5 for drawn in (truth, knowable, ours)]
    return Bounded(
        name,
        int(happened.sum()),
        interval(above[0] + 0.5),
        interval(above[1] / above[0]),
        interval(above[2] / above[0]),
        interval(above[2] / above[1]),
        interval(np.array([slope(*each) for each in ours])),
    )


def markdown(rows: Sequence[Bounded], said: Callable[[Interval], str]) -> str:
    """A row for each."""
    names = ("sessions 1 to 3", "dropouts", "AUC of the generator's hazard", "knowable", "reached", "of the knowable")
    lines = [f"| {' | '.join((*names, 'slope'))} |", "|---|---|---|---|---|---|---|"]
    told = ((each.name, f"{each.dropouts:,}", *map(said, each[2:])) for each in rows)
    return "\n".join([*lines, *(f"| {' | '.join(each)} |" for each in told)])
