"""The words and dates people read on the pages: calm, about the scores, never about blame."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from schemas.events import AlertKind, Severity
from schemas.instruments import UnknownInstrument, lookup

ToneName = Literal["risk", "red", "amber", "info"]


@dataclass(frozen=True, slots=True)
class Tone:
    """How much something asks for a person: a word and a shape for everybody, a colour for those who see it."""

    name: ToneName
    word: str
    rank: int


RISK = Tone("risk", "Risk answer", 4)
RED = Tone("red", "Please look", 3)
AMBER = Tone("amber", "Worth a word", 2)
INFO = Tone("info", "For information", 1)
_BY_SEVERITY: dict[Severity, Tone] = {"urgent": RISK, "red": RED, "amber": AMBER, "info": INFO}

_TITLES: dict[AlertKind, str] = {
    AlertKind.RUPTURE_POSSIBLE: "Rating below this client's usual",
    AlertKind.SLOW_DECLINE: "Ratings drifting down",
    AlertKind.OFF_TRACK: "Progress is not what was expected by now",
    AlertKind.DISENGAGING: "A longer gap than usual",
    AlertKind.DROPOUT_RISK: "May not come back",
    AlertKind.RISK_ITEM: "A risk item was answered",
    AlertKind.DISCREPANCY: "Client and therapist see it differently",
}
_INVITATIONS: dict[AlertKind, str] = {
    AlertKind.RUPTURE_POSSIBLE: "Consider asking how the last session was, and whether goals and topics still fit.",
    AlertKind.SLOW_DECLINE: "Consider inviting criticism: what would the client want more of, or less of?",
    AlertKind.OFF_TRACK: "Consider reviewing together what helps and what does not.",
    AlertKind.DISENGAGING: "Consider reaching out and offering a next date.",
    AlertKind.DROPOUT_RISK: "Consider talking about what would make coming worthwhile.",
    AlertKind.RISK_ITEM: "Please look at the form itself and follow your clinic's risk procedure.",
    AlertKind.DISCREPANCY: "Consider comparing notes on how the work is going.",
}

RESOLUTIONS: dict[str, str] = {
    "discussed": "Talked about it with the client",
    "not-a-rupture": "Not a strain in the alliance",
    "outside-therapy": "Something outside therapy",
    "already-known": "Already known and planned for",
    "entered-in-error": "The record was wrong",
}
"""Why an alert is done with. Chosen, never written: free text about a client belongs in the clinic's own notes."""

_QUALITY: dict[str, str] = {
    "rushed": "filled in within seconds",
    "all-items-at-worst": "every answer at the worst end: worth asking before believing",
    "all-items-at-extremes": "every answer at one end or the other: worth asking before believing",
    "low-first-rating": "an unusually low first rating: worth asking before believing",
    "mirrored": "may have been read the other way round: worth asking",
    "always-at-best": "the best possible rating time after time: no information, not a sign that all is well",
}


def quality_words(flag: str) -> str:
    """What a flag of the engine's means; one that is new here is told as it is.

    >>> quality_words("rushed")
    'filled in within seconds'
    """
    return _QUALITY.get(flag, flag)


def tone(kind: AlertKind, severity: Severity) -> Tone:
    """A risk answer is one at every severity.

    >>> tone(AlertKind.RISK_ITEM, "red").word, tone(AlertKind.DISENGAGING, "red").word
    ('Risk answer', 'Please look')
    """
    return RISK if kind is AlertKind.RISK_ITEM else _BY_SEVERITY[severity]


def title(kind: AlertKind) -> str:
    return _TITLES[kind]


def invitation(kind: AlertKind) -> str:
    """What one might do; a suggestion, because only the clinician knows the client."""
    return _INVITATIONS[kind]


def day(at: datetime | date) -> str:
    """Day, month and year, without a weekday.

    >>> day(date(2026, 3, 7))
    '7 Mar 2026'
    """
    return f"{at.day} {at:%b %Y}"


def moment(at: datetime) -> str:
    """A day with its time, in UTC."""
    return f"{day(at)}, {at:%H:%M} UTC"


def ago(then: datetime, now: datetime) -> str:
    """How long since, in whole days of the calendar.

    >>> from datetime import timedelta
    >>> now = datetime(2026, 3, 7, 12)
    >>> [ago(now - timedelta(days=days), now) for days in (0, 1, 12)]
    ['today', 'yesterday', '12 days ago']
    """
    days = (now.date() - then.date()).days
    if days <= 0:
        return "today"
    return "yesterday" if days == 1 else f"{days} days ago"


def number(value: float) -> str:
    """At most one decimal, and none that says nothing.

    >>> number(36.0), number(33.44)
    ('36', '33.4')
    """
    return f"{value:.1f}".removesuffix(".0")


def figure(value: float) -> str:
    """A number of any size, so that a small chance does not become none.

    >>> figure(0.00412), figure(38.316), figure(12), figure(0)
    ('0.0041', '38.3', '12', '0')
    """
    return number(value) if value == 0 or abs(value) >= 1 else f"{value:.2g}"


def count(many: int, singular: str, plural: str | None = None) -> str:
    """A number with its noun.

    >>> count(1, "session"), count(0, "session")
    ('1 session', '0 sessions')
    """
    return f"{many} {singular if many == 1 else plural or singular + 's'}"


def instrument_name(key: str) -> str:
    """The measure's name as its authors have it, or its key where the registry has forgotten it."""
    instrument = lookup(key)
    return key if isinstance(instrument, UnknownInstrument) else instrument.name
