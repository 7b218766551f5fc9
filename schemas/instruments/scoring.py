"""Totals, facets and the 0-100 index. Wrong answers come back as faults; arithmetic is in whole steps of the scale."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import isfinite
from typing import Literal

from schemas.instruments.model import Instrument, Item, Scale

FaultCode = Literal[
    "unknown-item", "not-finite", "out-of-range", "off-step", "total-mismatch", "nothing", "wrong-rater"
]
_ROUNDING = 1e-6
"""How far a value may lie beside its step: what JSON and IEEE 754 do to a decimal, not another decimal."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a rating: at which item (`None`: the total or the whole), and what was expected there.

    The value itself is left out on purpose: faults are logged, answers are not.
    """

    code: FaultCode
    item: str | None
    expected: str
    low: float | None = None
    high: float | None = None
    step: float | None = None


@dataclass(frozen=True, slots=True)
class Scored:
    """A rating's numbers on the instrument's own scale; without a total, `why_no_total` says so in words."""

    total: float | None
    facets: dict[str, float | None]
    answered: int
    prorated: bool
    why_no_total: str | None


@dataclass(frozen=True, slots=True)
class RiskAnswer:
    """An answer that a person has to see."""

    item: str
    value: float
    urgent: bool


def score(
    instrument: Instrument, items: Mapping[str, float | None], total: float | None = None
) -> Scored | tuple[Fault, ...]:
    """Score a rating from its items, or take its total where there are none.

    >>> from schemas.instruments.registry import lookup
    >>> core = lookup("core-10@1")
    >>> nine = {f"q{n}": 2.0 for n in range(1, 10)}
    >>> score(core, nine).total, score(core, nine).prorated
    (20.0, True)
    >>> score(core, {"q11": 1.0})
    (Fault(code='unknown-item', item='q11', expected='one of q1 to q10', low=None, high=None, step=None),)
    """
    faults = tuple(_faults(instrument, items, total))
    if faults:
        return faults
    if not items:
        return Scored(_on_step(total, instrument.total), dict.fromkeys(instrument.facets), 0, False, None)
    scored = _score_items(instrument, items)
    mismatch = _mismatch(instrument, scored, total)
    return (mismatch,) if mismatch else scored


def index(instrument: Instrument, total: float) -> float:
    """The total on 0-100, 100 the good end whichever way the scale runs.

    >>> from schemas.instruments.registry import lookup
    >>> index(lookup("srs@3"), 36.0), index(lookup("phq-9@1"), 27.0)
    (90.0, 0.0)
    """
    share = (total - instrument.total.low) / instrument.total.span
    return round(100 * (share if instrument.direction == "up" else 1 - share), 6)


def risk_answers(instrument: Instrument, items: Mapping[str, float | None]) -> tuple[RiskAnswer, ...]:
    """The risk items answered at or above their threshold; an unanswered one is none, and no reassurance either.

    >>> from schemas.instruments.registry import lookup
    >>> risk_answers(lookup("phq-9@1"), {"q9": 2.0})
    (RiskAnswer(item='q9', value=2.0, urgent=True),)
    """
    answered = ((item, risk, items.get(item.code)) for item, risk in instrument.risk_items())
    return tuple(
        RiskAnswer(item.code, value, value >= risk.urgent)
        for item, risk, value in answered
        if value is not None and value >= risk.threshold
    )


def rater_fault(instrument: Instrument, rater: str) -> Fault | None:
    """A fault where this rater does not fill in this instrument."""
    if rater in instrument.raters:
        return None
    return Fault("wrong-rater", None, f"rater {' or '.join(instrument.raters)}")


# ------------------------------------------------------------------------------------------------ faults


def _faults(instrument: Instrument, items: Mapping[str, float | None], total: float | None) -> Iterator[Fault]:
    if not items and total is None:
        yield Fault("nothing", None, "items by code, or a total")
    for code, value in items.items():
        item = instrument.item(code)
        if item is None:
            yield Fault("unknown-item", code, _codes(instrument))
        elif value is not None:
            yield from _scale_faults(code, value, item.scale)
    if total is not None:
        yield from _total_faults(instrument, total, alone=not items)


def _total_faults(instrument: Instrument, total: float, *, alone: bool) -> Iterator[Fault]:
    """A total beside items is held against them; alone, it has to be on a step unless the form may be prorated."""
    scale = instrument.total
    strict = alone and instrument.missing.min_answered == len(instrument.items)
    for fault in _scale_faults(None, total, scale):
        if strict or fault.code != "off-step":
            yield replace(fault, expected=f"{fault.expected}, {_meant(instrument)}")


def _meant(instrument: Instrument) -> str:
    """Which of the numbers that a form can be summed up in: many systems keep the items' mean."""
    other = "mean" if instrument.rule == "sum" else "sum"
    return f"the {instrument.rule} of {len(instrument.items)} items, not their {other}"


def _scale_faults(code: str | None, value: float, scale: Scale) -> Iterator[Fault]:
    if not isfinite(value):
        yield _scale_fault("not-finite", code, scale)
    elif not scale.low - _ROUNDING <= value <= scale.high + _ROUNDING:
        yield _scale_fault("out-of-range", code, scale)
    elif abs(value - _steps(value, scale) * scale.step) > _ROUNDING:
        yield _scale_fault("off-step", code, scale)


def _scale_fault(fault: FaultCode, code: str | None, scale: Scale) -> Fault:
    expected = f"{scale.low:g} to {scale.high:g} in steps of {scale.step:g}"
    return Fault(fault, code, expected, scale.low, scale.high, scale.step)


def _mismatch(instrument: Instrument, scored: Scored, total: float | None) -> Fault | None:
    """A posted total must be the items'; prorated ones are rounded in many ways, so there a whole step is let pass."""
    if total is None or scored.total is None:
        return None
    leeway = instrument.total.step if scored.prorated else _ROUNDING
    if abs(total - scored.total) <= leeway:
        return None
    return Fault("total-mismatch", None, f"the {instrument.rule} of the items, reversed ones turned round")


def _codes(instrument: Instrument) -> str:
    codes = [item.code for item in instrument.items]
    numbered = codes[0] == "q1"
    return f"one of {codes[0]} to {codes[-1]}" if numbered else f"one of {', '.join(codes)}"


# ------------------------------------------------------------------------------------------------ totals


def _score_items(instrument: Instrument, items: Mapping[str, float | None]) -> Scored:
    answers = {code: _turned(instrument.by_code[code], value) for code, value in items.items() if value is not None}
    facets = {facet: _facet(instrument, members, answers) for facet, members in instrument.by_facet.items()}
    why = _why_no_total(instrument, answers, facets)
    return Scored(
        total=None if why else _combine(instrument, instrument.items, list(answers.values())),
        facets=facets,
        answered=len(answers),
        prorated=why is None and len(answers) < len(instrument.items),
        why_no_total=why,
    )


def _why_no_total(instrument: Instrument, answers: Mapping[str, int], facets: Mapping[str, float | None]) -> str | None:
    rule, count = instrument.missing, len(instrument.items)
    if len(answers) < rule.min_answered:
        return f"{len(answers)} of {count} items answered, {rule.min_answered} needed"
    for code in rule.indispensable:
        if code not in answers:
            return f"item {code} is unanswered and never prorated"
    for facet, value in facets.items() if rule.min_per_facet else ():
        if value is None:
            return f"fewer than {rule.min_per_facet} items of facet {facet} answered"
    return None


def _facet(instrument: Instrument, members: tuple[Item, ...], answers: Mapping[str, int]) -> float | None:
    given = [answers[item.code] for item in members if item.code in answers]
    needed = instrument.missing.min_per_facet or len(members)
    return _combine(instrument, members, given) if len(given) >= needed else None


def _combine(instrument: Instrument, members: tuple[Item, ...], answers: list[int]) -> float:
    """Sum or mean in whole steps, so that 0.1 + 0.2 is 0.3; missing answers count as the mean of those given."""
    weight = len(members) if instrument.rule == "sum" else 1
    return round(sum(answers) * weight * members[0].scale.step / len(answers), 6)


def _turned(item: Item, value: float) -> int:
    """An answer in steps from zero, turned round where the item is reversed."""
    steps = _steps(value, item.scale)
    return _steps(item.scale.low + item.scale.high, item.scale) - steps if item.reversed else steps


def _steps(value: float, scale: Scale) -> int:
    return round(value / scale.step)


def _on_step(value: float | None, scale: Scale) -> float | None:
    """Without what the wire did to its last digits; a prorated total stays as it is."""
    if value is None:
        return None
    near = _steps(value, scale) * scale.step
    return round(near if abs(near - value) <= _ROUNDING else value, 6)
