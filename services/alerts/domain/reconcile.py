"""From what stands to what should: the steps in between. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal
from uuid import UUID

from services.alerts.domain.lifecycle import STANDING, State
from services.alerts.domain.wanted import Wanted

StepAction = Literal["opened", "escalated", "withdrawn", "cleared", "reopened", "updated"]
_PASSING = {
    "disengaging": "seen or booked since, or care has ended",
    "dropout-risk": "no longer as likely, silent by now, or care has ended",
}
"""Kinds that are about now: when their ground is gone, it is over, and nothing was wrong."""
MERGED = "merged with another record"
_LOUDNESS = {"info": 0, "amber": 1, "red": 2, "urgent": 3}


@dataclass(frozen=True, slots=True)
class Stored:
    """An alert as it stands in the records."""

    alert_id: UUID
    kind: str
    severity: str
    state: State
    reason: str
    historical: bool
    rule: str = ""
    rating_id: UUID | None = None
    item: str | None = None
    """Of a risk answer: the item, where the answer asks for a look."""


@dataclass(frozen=True, slots=True)
class Change:
    """An alert to write, and the steps to note. `wanted` is `None` for one that nothing upholds any more."""

    alert_id: UUID
    state: State
    steps: tuple[tuple[StepAction, str], ...]
    wanted: Wanted | None


def reconcile(stored: Mapping[UUID, Stored], wanted: Iterable[Wanted], *, merged: bool = False) -> Iterator[Change]:
    """The changes that make the records say what should stand; of a client `merged` into another one, nothing does."""
    if merged:
        yield from (_moved(known) for known in stored.values() if known.state in STANDING)
        return
    should = {alert.alert_id: alert for alert in wanted}
    for alert_id, alert in should.items():
        known = stored.get(alert_id)
        yield from (_new(alert),) if known is None else _known(known, alert)
    for alert_id, known in stored.items():
        if known.kind == "risk-item":
            yield from _restored(known)
        elif alert_id not in should:
            yield from _unfounded(known)


def _new(alert: Wanted) -> Change:
    steps: tuple[tuple[StepAction, str], ...] = (("opened", alert.reason),)
    if alert.severity == "red" and alert.why and alert.state == "open":
        steps += (("escalated", alert.why),)
    if alert.state == "cleared":
        steps += (("cleared", alert.why),)
    return Change(alert.alert_id, alert.state, steps, alert)


def _known(known: Stored, alert: Wanted) -> Iterator[Change]:
    if known.state == "resolved":
        return  # a person has spoken
    alert = replace(alert, historical=alert.historical and known.historical)  # what was news stays news
    state, steps = _states(known, alert)
    if state in STANDING and _LOUDNESS[alert.severity] > _LOUDNESS[known.severity]:
        steps += (("escalated", alert.why),)
    told = (known.severity, known.reason, known.historical, known.rule)
    if steps or told != (alert.severity, alert.reason, alert.historical, alert.rule):
        yield Change(alert.alert_id, state, steps, alert)


def _states(known: Stored, alert: Wanted) -> tuple[State, tuple[tuple[StepAction, str], ...]]:
    """A person's word stays: acknowledged stays acknowledged."""
    if alert.state == "cleared" and known.state in STANDING:
        return "cleared", (("cleared", alert.why),)
    if alert.state == "cleared" and known.state == "withdrawn":
        return "cleared", (("reopened", alert.reason), ("cleared", alert.why))  # its ground is back, and it is over
    if alert.state == "open" and known.state in {"withdrawn", "cleared"}:
        return "open", (("reopened", alert.reason),)
    return known.state, ()


def _moved(known: Stored) -> Change:
    return Change(known.alert_id, "withdrawn", (("withdrawn", MERGED),), None)


def _restored(known: Stored) -> Iterator[Change]:
    """A risk answer that asks for a look is withdrawn by a merge alone; undone, it asks again."""
    if known.state == "withdrawn" and known.item is not None:
        yield Change(known.alert_id, "open", (("reopened", known.reason),), None)


def _unfounded(known: Stored) -> Iterator[Change]:
    if known.state not in STANDING:
        return
    if known.kind in _PASSING:
        yield Change(known.alert_id, "cleared", (("cleared", _PASSING[known.kind]),), None)
    else:
        why = "a correction of the record, the clinic's own parameters or another policy took its ground away"
        yield Change(known.alert_id, "withdrawn", (("withdrawn", why),), None)
