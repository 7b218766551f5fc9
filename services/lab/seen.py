"""A course through the engine's own parts: what they make of every rating, once for all rules that ask."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from schemas.instruments import UnknownInstrument
from services.alerts.domain.policy import DEFAULT, FIRST, HIGH_SENS, Bound, Policy, Rule
from services.scoring.domain import drift, drop, level, rolling, rupture
from services.scoring.domain.config import EngineConfig, SeriesConfig, series_config
from services.scoring.domain.signals import (
    DRIFT,
    PREDICTIVE_DROP,
    RELIABLE_DROP,
    RUPTURE_EVIDENCE,
    Detector,
    Seen,
    predictive_drop,
    reliable_drop,
    rupture_evidence,
    slow_drift,
)

_DROP: Final = drop.Config()
_DETECTORS: Final[dict[str, Detector]] = {
    RUPTURE_EVIDENCE: rupture_evidence,
    PREDICTIVE_DROP: predictive_drop,
    RELIABLE_DROP: reliable_drop,
    DRIFT: slow_drift,
}
POLICY_NAMES: Final = tuple(policy.name for policy in (DEFAULT, FIRST, HIGH_SENS))
"""Those that ask nothing of single items; the conventions have rows of their own."""


class UnknownRuleScaleError(ValueError):
    """Rules need a scale."""

    def __init__(self, instrument: str) -> None:
        super().__init__(f"instrument: {instrument!r} is not in the registry (schemas/instruments); use e.g. 'srs@3'")


def scale_of(engine: EngineConfig, instrument: str) -> SeriesConfig:
    """The engine's parameters on an instrument's scale."""
    config = series_config(engine, instrument)
    if isinstance(config, UnknownInstrument):
        raise UnknownRuleScaleError(instrument)
    return config


@lru_cache(maxsize=1)
def through(engine: EngineConfig, instrument: str, totals: tuple[float, ...]) -> tuple[Seen, ...]:
    """As `series` does it, without what is only said to people: the score that would not have been rare."""
    config = scale_of(engine, instrument)
    rolled, changed = rolling.start(config.rolling), rupture.start(config.rupture)
    fell, drifted = drop.start(_DROP), drift.start(config.drift)
    found = []
    for total in totals:
        rolled, expected = rolling.step(config.rolling, rolled, total)
        changed, evidence = rupture.step(config.rupture, changed, total)
        fell, fall = drop.step(_DROP, fell, total)
        drifted, slow = drift.step(config.drift, drifted, total)
        asked = level.read(config.level, config.instrument, total, {}, fall.fall)
        change = None if evidence is None else rupture.Reading(evidence, ())
        found.append(Seen(expected, change, fall, slow, asked))
    return tuple(found)


def speaks(policy: Policy, span: float, seen: Seen) -> bool:
    """Whether any rule of a policy holds in this session, in a clinic of any size; no cooldown."""
    return any(_holds(rule, span, seen) for rule in policy.rules if rule.max_clients is None)


def _holds(rule: Rule, span: float, seen: Seen) -> bool:
    signal = _DETECTORS[rule.detector](seen)
    numbers = {**signal.details, "value": signal.value}
    return all(_within(bound, numbers[bound.of], span) for bound in rule.bounds) if signal.value is not None else False


def _within(bound: Bound, number: float | None, span: float) -> bool:
    return number is not None and bound.holds(number, span)
