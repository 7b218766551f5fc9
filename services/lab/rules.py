"""Every rule of the comparison, as evidence session by session: what a clinic uses today beside what Attune does.

A rule that has a dial gives a number, and is alarmed above `dial`; turning it trades misses for false alarms. A rule
that only says yes or no gives 1 or 0 and has no dial. NaN: it cannot say anything at this session. All run through the
same pure modules as the service. Points of the published rules are the SRS's, in fortieths of other scales.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from math import log, nan
from typing import Any, Final, Protocol

import numpy as np

from services.alerts.domain.policy import POLICIES, Policy
from services.lab.population import Course, Floats
from services.lab.seen import POLICY_NAMES, scale_of, speaks, through
from services.scoring.domain import chance, cusum, individuals, openfit, residuals, sequences
from services.scoring.domain.config import DEFAULT, EngineConfig, SeriesConfig
from services.scoring.domain.signals import Seen

DEFAULT_RULE: Final = "Attune default"
"""What every other rule is compared with."""
YES: Final = 0.5
"""Evidence above it is a yes, of a rule without a dial."""


class Evidence(Protocol):
    """One number a session, higher being more alarming; NaN where the rule cannot say."""

    def __call__(self, course: Course) -> Floats: ...


@dataclass(frozen=True, slots=True)
class Rule:
    """`dial`: flagged where the evidence is strictly above it; None for a rule that only says yes (1) or no (0)."""

    name: str
    evidence: Evidence
    dial: float | None = None

    @property
    def threshold(self) -> float:
        return YES if self.dial is None else self.dial


def rules(engine: EngineConfig = DEFAULT, instrument: str = "srs@3") -> tuple[Rule, ...]:
    """The default first, then the engine's other detectors and policies, then what others do.

    >>> [rule.name for rule in rules()][:3], sum(rule.dial is None for rule in rules())
    (['Attune default', 'Tobit-Bayes (rank 1)', 'EWMA of own residuals'], 13)
    """
    config = scale_of(engine, instrument)
    return (*_engine(engine, config), *_dialled(config), *_policies(engine, config), *_fixed(config))


def _engine(engine: EngineConfig, config: SeriesConfig) -> tuple[Rule, ...]:
    tail = -log(config.rolling.gate_alpha)
    rates = config.rupture.rates
    once_in_100 = chance.evidence_at(rates, 0.01) if rates else log(10)
    asked = partial(_asked, engine, config.instrument.key)
    return (
        Rule(DEFAULT_RULE, partial(asked, _log_ratio), once_in_100),
        Rule("Tobit-Bayes (rank 1)", partial(asked, _surprise), tail),
        Rule("EWMA of own residuals", partial(asked, _drifted), config.drift.reset_at_sds),
    )


def _policies(engine: EngineConfig, config: SeriesConfig) -> Iterator[Rule]:
    """Whole policies as shipped, with their cooldown: alerts, not signals."""
    for name in POLICY_NAMES:
        yield Rule(f"policy {name}", partial(_alerts, engine, config, POLICIES[name]))


def _dialled(config: SeriesConfig) -> tuple[Rule, ...]:
    return (
        Rule("CUSUM of own residuals", partial(_cusum, config), 3.0),
        Rule("own running mean", _below_own_mean, 4 * _point(config)),
        Rule("drop since last", _drop, 5 * _point(config) - config.instrument.total.step / 2),
        Rule("individuals chart, n >= 4", partial(_stepped, individuals, _chart(4), _below), 3.0),
        Rule("individuals chart, n >= 8", partial(_stepped, individuals, _chart(8), _below), 3.0),
        Rule("level", _level, -0.9 * config.instrument.total.span - config.instrument.total.low),
    )


def _fixed(config: SeriesConfig) -> tuple[Rule, ...]:
    point, scale = _point(config), config.instrument.total
    cutoff = scale.low + 0.9 * scale.span
    product = openfit.Config(cutoff, point)
    return (
        Rule("OpenFIT", partial(_stepped, openfit, product, _red)),
        Rule("total < 36", lambda course: _yes(np.array(course.totals) < cutoff)),
        Rule("any item < 9", partial(_low_item, config)),
        *(Rule(f"drop >= {points}", partial(_fell, points * point)) for points in (3, 5, 6)),
        Rule("individuals chart 3 sigma, n >= 4", partial(_beyond, _chart(4), 3.0)),
        Rule("individuals chart 3 sigma, n >= 8", partial(_beyond, _chart(8), 3.0)),
        Rule("Stiles 2 SD", partial(_stepped, sequences, _sequences(config), _strict)),
        Rule("Strauss 1 SD", partial(_stepped, sequences, _sequences(config), _lenient)),
    )


def _point(config: SeriesConfig) -> float:
    """A point of the SRS on this scale."""
    return round(config.instrument.total.span / 40, 6)


def _chart(ratings: int) -> individuals.Config:
    return individuals.Config(limit=3.0, min_ratings=ratings, floor=0.05, spread_by="mean")


def _sequences(config: SeriesConfig) -> sequences.Config:
    spread = config.drift.spread
    return sequences.Config(spread, lenient_sds=1, strict_sds=2, repair_share=0.75, window_sessions=3, own_from=5)


# ------------------------------------------------------------------ modules of the domain, stepped through a course


def _stepped(module: Any, config: Hashable, number: Callable[[Any], float | None], course: Course) -> Floats:  # noqa: ANN401 - `start` and `step` are the one shape every module of the domain has
    return _numbers([number(reading) for reading in _readings(module, config, course.totals)])


@lru_cache(maxsize=8)
def _readings(module: Any, config: Hashable, totals: tuple[float, ...]) -> tuple[Any, ...]:  # noqa: ANN401 - likewise
    """Of the course at hand: several rules ask the same chart."""
    state, found = module.start(config), []
    for total in totals:
        state, reading = module.step(config, state, total)
        found.append(reading)
    return tuple(found)


def _numbers(found: Sequence[float | None]) -> Floats:
    return np.array([nan if each is None else each for each in found])


def _asked(engine: EngineConfig, instrument: str, number: Callable[[Seen], float | None], course: Course) -> Floats:
    return _numbers([number(each) for each in through(engine, instrument, course.totals)])


def _log_ratio(seen: Seen) -> float | None:
    return None if seen.rupture is None else seen.rupture.evidence.log_ratio


def _surprise(seen: Seen) -> float | None:
    """Of the predictive tail, in nats; the least drop of the rank's policy is no part of the evidence."""
    expected = seen.rolling.expected
    return None if expected is None else -log(max(expected.tail_probability, 1e-300))


def _drifted(seen: Seen) -> float | None:
    return seen.drift.below_sds


def _alerts(engine: EngineConfig, config: SeriesConfig, policy: Policy, course: Course) -> Floats:
    span, told = config.instrument.total.span, -policy.cooldown_sessions
    alerts = np.zeros(len(course.totals))
    for session, seen in enumerate(through(engine, config.instrument.key, course.totals)):
        if session - told >= policy.cooldown_sessions and speaks(policy, span, seen):
            alerts[session], told = 1.0, session
    return alerts


def _below(reading: individuals.Reading) -> float | None:
    return reading.below_sds


def _red(reading: openfit.Reading) -> float:
    return float(reading.colour == "red")


def _strict(reading: sequences.Reading) -> float:
    return float(reading.strict.phase == "open" and reading.strict.sessions == 0)


def _lenient(reading: sequences.Reading) -> float:
    return float(reading.lenient.phase == "open" and reading.lenient.sessions == 0)


def _beyond(chart: individuals.Config, sigmas: float, course: Course) -> Floats:
    below = _stepped(individuals, chart, _below, course)
    return _yes(below > sigmas)


def _cusum(config: SeriesConfig, course: Course) -> Floats:
    """Of residuals against the client's own shrunk usual; what has signalled is no part of the baseline."""
    own = config.drift
    shrunk = residuals.Config(own.usual, own.usual_ratings, own.spread, own.spread_ratings)
    chart = cusum.Config(centre=0, sigma=1, allowance_sds=0.5, decision_sds=3)
    baseline, sums = residuals.start(shrunk), cusum.start(chart)
    found: list[float | None] = []
    for total in course.totals:
        below = residuals.measure(shrunk, baseline, total).below_sds
        if below is None:
            baseline, seen = residuals.accept(baseline, total), None
        else:
            sums, seen = cusum.step(chart, sums, -below)
            baseline = baseline if seen.starts_again else residuals.accept(baseline, total)
        found.append(None if seen is None else seen.low)
    return _numbers(found)


# ------------------------------------------------------------------ arithmetic on a whole course


def _drop(course: Course) -> Floats:
    return np.append(nan, -np.diff(np.array(course.totals)).round(6))


def _fell(points: float, course: Course) -> Floats:
    return _yes(_drop(course) >= points)


def _below_own_mean(course: Course) -> Floats:
    totals = np.array(course.totals)
    past = np.cumsum(totals)[:-1] / np.arange(1, totals.size)
    return np.append(nan, (past - totals[1:]).round(6))


def _level(course: Course) -> Floats:
    return -np.array(course.totals)


def _low_item(config: SeriesConfig, course: Course) -> Floats:
    item = config.instrument.items[0].scale
    return _yes(np.array(course.items).min(axis=1) < round(item.low + 0.9 * item.span, 6))


def _yes(flags: np.typing.NDArray[np.bool_]) -> Floats:
    return np.asarray(flags, np.float64)
