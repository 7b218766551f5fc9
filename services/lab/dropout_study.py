"""How much of what can be known about dropout the hazard knows, in invented clinics that it was not fitted on.

The ceiling is the generator's own hazard, with ruptures and all: what share of its AUC above chance is reached, by
session 3 and over all sessions, and whether the chances are true. Which clinics are learned from, and every clinic's
parameters, stand in `clinics` and here, and were fixed before anything was fitted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from services.lab.bootstrap import Interval, interval
from services.lab.clinics import CLINICS
from services.lab.generator import simulate
from services.lab.hazard_card import Tried, auc, drawn_again, slope
from services.lab.hazard_courses import periods, true_logits
from services.lab.hazard_fit import Period, fit, logits, tabled
from services.lab.population import Floats, Marks
from services.scoring.domain.hazard import HazardModel

LEARNED_FROM: Final = ("typical", "low ratings", "many ruptures")
LEARNING_SEED: Final = 8_101
HELD_OUT_SEED: Final = 8_501
EARLY: Final = 3
_UNRATED: Final = ("gaps and holes",)
"""Where sessions lack a rating the generator's own hazard cannot be read off a course: such a clinic has no ceiling."""
Told = Callable[[], None]


class Reached(NamedTuple):
    """One clinic, or all together: AUCs, the share of the ceiling above chance, and the calibration slope."""

    name: str
    dropouts: int
    ceiling: Interval
    auc: Interval
    share: Interval
    slope: Interval


@dataclass(frozen=True, slots=True)
class Study:
    """`early`: sessions 1 to 3; `every`: all of them. `model`: fitted on the other clinics."""

    model: HazardModel
    early: tuple[Reached, ...]
    every: tuple[Reached, ...]


class _Clinic(NamedTuple):
    name: str
    session: Floats
    tried: Tried
    truth: Floats


def held_out() -> tuple[str, ...]:
    return tuple(name for name in CLINICS if name not in {*LEARNED_FROM, *_UNRATED})


def study(clients: int = 4_000, resamples: int = 200, told: Told = lambda: None) -> Study:
    """Fit on three clinics, try on the others; everything from fixed seeds."""
    model = learned(clients)
    told()
    tried = [_tried(model, name, clients, told) for name in held_out()]
    together = _together(tried)
    asked = [*tried, together]
    return Study(
        model,
        tuple(_reached(_early(each), resamples) for each in asked),
        tuple(_reached(each, resamples) for each in asked),
    )


def learned(clients: int) -> HazardModel:
    """From so many clients of each clinic that is learned from."""
    rows: list[Period] = []
    for name in LEARNED_FROM:
        rows += periods(simulate(LEARNING_SEED, clients, CLINICS[name]), CLINICS[name], name=name)
    return fit(rows)


def _tried(model: HazardModel, name: str, clients: int, told: Told) -> _Clinic:
    population = CLINICS[name]
    courses = simulate(HELD_OUT_SEED, clients, population)
    table = tabled(list(periods(courses, population)), keep=model.features)
    told()
    return _Clinic(
        name,
        table.session.astype(np.float64),
        Tried(table.person, logits(model, table), table.dropped_out),
        true_logits(courses, population),
    )


def _together(tried: list[_Clinic]) -> _Clinic:
    """Persons of different clinics are different persons."""
    offsets = np.cumsum([0, *[int(each.tried.person.max()) + 1 for each in tried]])
    person = np.concatenate([each.tried.person + offset for each, offset in zip(tried, offsets, strict=False)])
    logit = np.concatenate([each.tried.logit for each in tried])
    happened = np.concatenate([each.tried.happened for each in tried])
    session = np.concatenate([each.session for each in tried])
    truth = np.concatenate([each.truth for each in tried])
    return _Clinic("together", session, Tried(person, logit, happened), truth)


def _early(clinic: _Clinic) -> _Clinic:
    rows = clinic.session <= EARLY
    return _Clinic(clinic.name, clinic.session[rows], clinic.tried.rows(rows), clinic.truth[rows])


def _reached(clinic: _Clinic, resamples: int) -> Reached:
    tried = clinic.tried
    ours = list(drawn_again(tried, HELD_OUT_SEED, resamples))
    truth = list(drawn_again(Tried(tried.person, clinic.truth, tried.happened), HELD_OUT_SEED, resamples))
    ceiling, found = _each(auc, truth), _each(auc, ours)
    return Reached(
        clinic.name,
        int(tried.happened.sum()),
        interval(ceiling),
        interval(found),
        interval((found - 0.5) / (ceiling - 0.5)),
        interval(_each(slope, ours)),
    )


def _each(measure: Callable[[Floats, Marks], float], drawn: list[tuple[Floats, Marks]]) -> Floats:
    return np.array([measure(*each) for each in drawn])


def markdown(found: Study) -> str:
    """Both tables."""
    early = _table(f"sessions 1 to {EARLY}", found.early)
    return f"{early}\n\n{_table('all sessions', found.every)}"


def _table(title: str, rows: tuple[Reached, ...]) -> str:
    head = f"| {title} | dropouts | AUC of the generator's hazard | AUC | share of it above chance | slope |"
    lines = [head, "|---|---|---|---|---|---|"]
    for each in rows:
        cells = [told(value) for value in each[2:]]
        lines.append(f"| {each.name} | {each.dropouts:,} | {' | '.join(cells)} |")
    return "\n".join(lines)


def told(value: Interval) -> str:
    """An estimate with its 95 % interval.

    >>> told(Interval(0.6, 0.55, 0.649))
    '.60 [.55, .65]'
    """
    estimate, low, high = (f"{each:.2f}".replace("0.", ".", 1) if each < 1 else f"{each:.2f}" for each in value)
    return f"{estimate} [{low}, {high}]"


def as_json(found: Study) -> Mapping[str, object]:
    return {
        name: [
            {
                "clinic": each.name,
                "dropouts": each.dropouts,
                **{what: dict(getattr(each, what)._asdict()) for what in ("ceiling", "auc", "share", "slope")},
            }
            for each in rows
        ]
        for name, rows in (("early", found.early), ("every", found.every))
    }
