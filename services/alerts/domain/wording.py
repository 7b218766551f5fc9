"""The sentences people read: what was seen and against what. Never a diagnosis, never blame, never reassurance."""

from __future__ import annotations

from datetime import datetime

from services.alerts.domain.policy import Bound, Rule
from services.alerts.domain.record import Number, Rated

_SIGNS = {"gt": "above", "ge": "at least", "lt": "below"}


def reason(rated: Rated, rule: Rule, number: Number) -> str:
    """Why this was flagged, in one sentence.

    >>> from datetime import UTC, datetime
    >>> from uuid import UUID
    >>> from services.alerts.domain.policy import TOBIT
    >>> low = Number(6.2, "6.2 below this client's usual", {"expected": 36.2, "tail_probability": 0.004})
    >>> at = datetime(2026, 3, 7, tzinfo=UTC)
    >>> reason(Rated(UUID(int=1), "s", at, "srs@3", "client", 40.0, 0.1, 30.0, 75.0, {}), TOBIT, low)
    "30 is 6.2 below this client's usual of 36.2"
    """
    about = "" if rated.total is None else f"{shown(rated.total)} is "
    if rule.detector == "rupture-evidence":
        return _rare(about, number)
    if rule.detector == "predictive-drop" and (expected := number.details.get("expected")) is not None:
        return f"{about}{shown(number.value or 0.0)} below this client's usual of {shown(expected)}"
    return f"{about}{number.reason}" if rule.detector == "reliable-drop" else number.reason


def _rare(about: str, number: Number) -> str:
    """How far below the usual, how rare that is, and whether it came slowly."""
    drop, expected, slide = (number.of(name) or 0.0 for name in ("drop", "expected", "slide"))
    against = f"{about}{shown(drop)} below this client's usual of {shown(expected)}"
    return f"{against}, after a slide over several sessions" if slide >= 0.5 else against


def threshold(rule: Rule, span: float) -> str:
    """The rule's bounds as a person reads them.

    >>> from services.alerts.domain.policy import TOBIT
    >>> threshold(TOBIT, 40)
    'tail probability below 0.02 and at least 3'
    """
    return " and ".join(_bound(bound, span) for bound in rule.bounds)


def _bound(bound: Bound, span: float) -> str:
    name = "" if bound.of == "value" else f"{bound.of.replace('_', ' ')} "
    return f"{name}{_SIGNS[bound.comparison]} {bound.on(span):g}"


def measure(instrument: str) -> str:
    """What people call it.

    >>> measure("phq-9@1")
    'PHQ-9'
    """
    return instrument.split("@", maxsplit=1)[0].upper()


def shown(value: float) -> str:
    """A score as people write it: at most one decimal.

    >>> shown(36.0), shown(33.44)
    ('36', '33.4')
    """
    return f"{value:.1f}".removesuffix(".0")


def escape(total: float, better: int = 1) -> str:
    """What would not have been flagged.

    >>> escape(33.4), escape(14.0, better=-1)
    ('at 33.4 or above', 'at 14 or below')
    """
    return f"at {shown(total)} or {'above' if better > 0 else 'below'}"


def silence(days: int) -> str:
    return f"no session for {days} days and none booked"


def days_between(then: datetime, now: datetime) -> int:
    return max(0, (now - then).days)
