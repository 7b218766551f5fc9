"""Totals against exact decimal arithmetic, for every instrument."""

from __future__ import annotations

from fractions import Fraction
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from schemas.instruments import Instrument, Scored, catalogue, index, score


@st.composite
def answered(draw: st.DrawFn) -> tuple[Instrument, dict[str, int]]:
    """An instrument with an answer to every item, in steps above the lowest."""
    instrument = draw(st.sampled_from(catalogue()))
    steps = {
        item.code: draw(st.integers(0, round((item.scale.high - item.scale.low) / item.scale.step)))
        for item in instrument.items
    }
    return instrument, steps


def exact_total(instrument: Instrument, steps: dict[str, int]) -> Fraction:
    values = []
    for item in instrument.items:
        low, high, step = (Fraction(str(number)) for number in (item.scale.low, item.scale.high, item.scale.step))
        value = low + steps[item.code] * step
        values.append(low + high - value if item.reversed else value)
    return sum(values, Fraction()) / (len(values) if instrument.rule == "mean" else 1)


@given(answered())
def test_totals_are_exact(form: tuple[Instrument, dict[str, int]]) -> None:
    """A complete form's total is the fraction's value to a millionth, lies on the scale, and so does its index."""
    instrument, steps = form
    items = {item.code: round(item.scale.low + steps[item.code] * item.scale.step, 6) for item in instrument.items}
    outcome = score(instrument, items)
    assert isinstance(outcome, Scored)
    assert outcome.total == round(float(exact_total(instrument, steps)), 6)
    assert instrument.total.low <= outcome.total <= instrument.total.high
    assert 0 <= index(instrument, outcome.total) <= 100


@given(answered(), st.randoms(use_true_random=False))
def test_the_order_of_answers_does_not_matter(form: tuple[Instrument, dict[str, int]], order: Random) -> None:
    """The same answers in another order give the same score."""
    instrument, steps = form
    items = [(item.code, round(item.scale.low + steps[item.code] * item.scale.step, 6)) for item in instrument.items]
    shuffled = list(items)
    order.shuffle(shuffled)
    assert score(instrument, dict(shuffled)) == score(instrument, dict(items))
