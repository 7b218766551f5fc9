"""What a client, or a therapist, ticks: a share of a scale's span becomes answers to an instrument's items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from numpy.random import Generator

from schemas.instruments.model import Instrument, Item
from schemas.instruments.registry import UnknownInstrument, lookup

Answers = dict[str, float | None]
SKIPPED_SHARE: Final = 0.002
"""Of single items on a returned form."""
RISK_SHARES: Final = (0.988, 0.009, 0.0025, 0.0005)
"""How often a risk item is answered 0, 1, 2, 3: rare, as in routine care."""


@dataclass(frozen=True, slots=True)
class Package:
    """What a group of clinicians asks: at every session, and every fourth one besides."""

    alliance: str
    outcome: str
    extra: str | None
    share: float
    """Of clinicians."""


PACKAGES: Final = (
    Package("srs@3", "ors@1", None, 0.5),
    Package("sai@1", "phq-9@1", "gad-7@1", 0.25),
    Package("wai-sr@5pt", "core-10@1", "wsas@1", 0.25),
)
THERAPIST_FORM: Final = "wai-srt@5pt"


def instrument(key: str) -> Instrument:
    """An instrument that this room names itself.

    Raises:
        LookupError: the registry no longer knows it.
    """
    match lookup(key):
        case UnknownInstrument():
            raise LookupError(key)
        case found:
            return found


def lines(items: tuple[float, ...], measure: Instrument) -> Answers:
    """Answers that were simulated on this very instrument's lines."""
    return {item.code: value for item, value in zip(measure.items, items, strict=True)}


def answers(rng: Generator, measure: Instrument, wellbeing: tuple[float, ...]) -> Answers:
    """Answers around shares of the span (0 worst, 1 best), taken in turn; rounded to the scale's step."""
    given: Answers = {}
    for number, item in enumerate(measure.items):
        given[item.code] = _answer(rng, measure, item, wellbeing[number % len(wellbeing)])
    return given


def _answer(rng: Generator, measure: Instrument, item: Item, share: float) -> float | None:
    if item.risk:
        return float(rng.choice(len(RISK_SHARES), p=RISK_SHARES))
    if rng.random() < SKIPPED_SHARE:
        return None
    up = (measure.direction == "up") != item.reversed
    return on_scale(item, (share if up else 1 - share) + 0.08 * rng.standard_normal())


def on_scale(item: Item, share: float) -> float:
    """The nearest answer that the item allows.

    >>> on_scale(instrument("sai@1").items[0], 0.93), on_scale(instrument("wai-sr@5pt").items[0], -0.2)
    (5.0, 1.0)
    """
    steps = round(min(1.0, max(0.0, share)) * item.scale.span / item.scale.step)
    return round(float(item.scale.low + steps * item.scale.step), 6)
