"""Does a clinic get the false alarms that `fit` promised? Fitted on some clients of each clinic, tried on others.

A rate is kept where the share of clean sessions with at least the evidence of that rate is within a quarter of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, NamedTuple

from services.lab.bootstrap import Interval, interval, resamples
from services.lab.clinics import CLINICS, SHAPES_OF_ALL_KINDS, instrument_of
from services.lab.evaluate import false_alarms
from services.lab.further import fitted_engine
from services.lab.generator import simulate
from services.lab.report import table
from services.lab.rules import DEFAULT_RULE, rules
from services.lab.seen import scale_of
from services.lab.tried import Told, evidence_of_all, over_cores
from services.lab.truth import case, truth
from services.scoring.domain import chance
from services.scoring.domain.config import DEFAULT, EngineConfig

RATES: Final = (0.03, 0.02, 0.01, 0.005)
WITHIN: Final = 0.25
_SEED: Final = 31_401
TRIED: Final = {
    **CLINICS,
    "few ruptures": replace(SHAPES_OF_ALL_KINDS, rupture_hazard=0.015),
    "more ruptures": replace(SHAPES_OF_ALL_KINDS, rupture_hazard=0.045),
}
"""Fit assumes how many ruptures there are: so clinics that have fewer or more are among them."""
_RESAMPLES: Final = 400


class Size(NamedTuple):
    """Clients to fit on, and other clients to try it on."""

    fitted_on: int
    tried_on: int


class Calibrated(NamedTuple):
    """Of one clinic, false alarms per clean session over the rate asked for, by `RATES`."""

    clinic: str
    shipped: tuple[Interval, ...]
    fitted: tuple[Interval, ...]

    @property
    def kept(self) -> bool:
        return all(abs(each.estimate - 1) <= WITHIN for each in self.fitted)


def calibrated(clinics: Sequence[str], size: Size, cores: int = 1, told: Told = lambda: None) -> Iterator[Calibrated]:
    """Clinic by clinic, in their order."""
    for each in over_cores(partial(of_clinic, size=size), list(clinics), cores):
        told()
        yield each


def of_clinic(clinic: str, size: Size) -> Calibrated:
    """One clinic; the clients it is fitted on are never those it is tried on."""
    population = TRIED[clinic]
    instrument = instrument_of(population)
    engine = fitted_engine(instrument, [each.totals for each in simulate(_SEED, size.fitted_on, population)])
    realised = partial(_realised, clinic, size.tried_on)
    return Calibrated(clinic, realised(DEFAULT), realised(engine))


def _realised(clinic: str, clients: int, engine: EngineConfig) -> tuple[Interval, ...]:
    population = TRIED[clinic]
    instrument = instrument_of(population)
    courses = simulate(_SEED + 1, clients, population)
    default = next(rule for rule in rules(engine, instrument) if rule.name == DEFAULT_RULE)
    evidence = evidence_of_all([default], courses)[DEFAULT_RULE]
    facts, draws = truth([case(course) for course in courses]), resamples(_SEED, len(courses), _RESAMPLES)
    reached = scale_of(engine, instrument).rupture.rates
    return tuple(
        interval(false_alarms(facts, evidence, chance.evidence_at(reached, rate), draws) / rate) for rate in RATES
    )


def markdown(found: Sequence[Calibrated]) -> str:
    """One row a clinic."""
    rates = [f"{rate:g}" for rate in RATES]
    rows = ((each.clinic, *map(_ratio, each.fitted), _ratio(each.shipped[2]), _verdict(each)) for each in found)
    return "\n".join(
        [
            "### False alarms per clean session over those asked for, after `fit`\n",
            *table(("clinic", *rates, f"shipped, {RATES[2]:g}", f"within {WITHIN:.0%}"), rows),
        ]
    )


def _ratio(found: Interval) -> str:
    return f"{found.estimate:.2f} [{found.low:.2f}, {found.high:.2f}]"


def _verdict(each: Calibrated) -> str:
    return "yes" if each.kept else "no"
