"""An alert as a card: what was seen, why it was flagged, what would not have been, and what happened since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from services.alerts.web.records import Alert, Step
from services.alerts.web.words import Tone, day, figure, invitation, moment, title, tone

STATES = {
    "open": "open",
    "acknowledged": "acknowledged",
    "resolved": "resolved",
    "withdrawn": "withdrawn after a correction",
    "cleared": "no longer holds",
}
ACTIONS = {
    "opened": "Flagged",
    "escalated": "Became more pressing",
    "acknowledged": "Acknowledged",
    "resolved": "Resolved",
    "withdrawn": "Withdrawn after a correction of the record",
    "cleared": "No longer holds",
    "reopened": "Opened again",
    "updated": "Numbers updated",
}


@dataclass(frozen=True, slots=True)
class Term:
    """One line of an explanation."""

    term: str
    text: str


@dataclass(frozen=True, slots=True)
class Happened:
    when: str
    text: str


@dataclass(frozen=True, slots=True)
class Card:
    alert_id: UUID
    tone: Tone
    title: str
    when: str
    reason: str
    pressing: str | None
    """Why it became red, where it was not at first."""
    invitation: str
    acknowledged: bool
    state_text: str
    facts: tuple[Term, ...]
    steps: tuple[Happened, ...]


def card(alert: Alert, resolutions: dict[str, str]) -> Card:
    state = "history when it was imported" if alert.historical else STATES[alert.state]
    return Card(
        alert_id=alert.alert_id,
        tone=tone(alert.kind, alert.severity),
        title=title(alert.kind),
        when=day(alert.occurred_at),
        reason=alert.reason[:1].upper() + alert.reason[1:],
        pressing=_pressing(alert),
        invitation=invitation(alert.kind),
        acknowledged=alert.state == "acknowledged",
        state_text=state,
        facts=tuple(_facts(alert)),
        steps=tuple(_happened(step, resolutions) for step in alert.steps),
    )


def _pressing(alert: Alert) -> str | None:
    escalated = [step for step in alert.steps if step.action == "escalated" and step.reason]
    if alert.severity != "red" or not escalated:
        return None
    last = escalated[-1]
    return f"{ACTIONS[last.action]} on {day(last.at)}: {last.reason}"


def _facts(alert: Alert) -> Iterable[Term]:
    yield from _terms(alert.evidence)
    yield Term("Rule", alert.rule)
    yield Term("Policy", alert.policy)


LABELS = {
    "would_not_have_flagged": "Would not have been flagged",
    "seen": "Seen",
    "total": "Rating",
    "expected": "Expected",
    "value": "Value",
    "below_usual_sds": "Below the usual course, in SDs",
    "tail_probability": "Chance of a rating this low",
    "usual": "Usual level",
    "worse_by": "Worse than at the beginning by",
    "reliable_change": "A reliable change is",
    "threshold": "Flags when",
    "session_number": "Rated session",
    "without_the_largest": "If what adds most were as usual",
    "item": "Item",
    "last_seen": "Last seen",
    "worth_a_word_since": "Worth a word since",
    "sessions_attended": "Sessions attended",
    "instrument": "Instrument",
}
"""What a clinician reads first comes first; the rest follows under its own name."""
_UNSAID = frozenset({"policy", "learned_from"})
"""Told elsewhere on the card."""


def _terms(evidence: Mapping[str, object]) -> Iterable[Term]:
    """The numbers as they were kept, groups of them opened out; what is not known says so."""
    places = {name: place for place, name in enumerate(LABELS)}
    for name in sorted(evidence, key=lambda each: (places.get(each, len(places)), each)):
        value = evidence[name]
        if isinstance(value, Mapping):
            yield from _terms(value)
        elif name not in _UNSAID:
            yield Term(LABELS.get(name, name.replace("_", " ").replace("-", " ").capitalize()), _said(value))


def _said(value: object) -> str:
    if value is None:
        return "not known"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(_said(each) for each in value) or "none"
    return figure(value) if isinstance(value, float | int) else str(value)


def _happened(step: Step, resolutions: dict[str, str]) -> Happened:
    said = resolutions.get(step.reason, step.reason) if step.reason else None
    return Happened(moment(step.at), f"{ACTIONS.get(step.action, step.action)}{f': {said}' if said else ''}")
