"""Writes decisions: alerts, their steps, and what is told to the topic `alerts`, in the caller's transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.codec import encode
from schemas.events import AlertAction, AlertKind, AlertStep, Severity
from schemas.topics import ALERTS as ALERTS_TOPIC
from services.alerts.adapters import statements as sql
from services.alerts.domain.lifecycle import State
from services.alerts.domain.wanted import ALERTS
from services.alerts.models import OUTBOX
from services.platform.outbox import Lane, Outgoing, columns


@dataclass(frozen=True, slots=True)
class Whose:
    """The episode an alert belongs to."""

    tenant_id: UUID
    client_id: UUID
    episode_id: UUID
    owner_id: UUID | None


@dataclass(frozen=True, slots=True)
class Entry:
    """An alert as it is to be written."""

    whose: Whose
    alert_id: UUID
    kind: str
    severity: Severity
    state: State
    rule: str
    policy: str
    reason: str
    occurred_at: datetime
    at: datetime
    """The clinic's now: when it was opened, if it is new."""
    historical: bool
    rating_id: UUID | None = None
    evidence: dict[str, Any] = field(default_factory=dict)
    version: int = 1


@dataclass(frozen=True, slots=True)
class Noted:
    """A step to note: what happened to which alert, and why. `key` makes it the same step when it is noted again."""

    entry: Entry
    action: AlertAction
    reason: str | None
    key: str
    actor: str | None = None

    @property
    def step_id(self) -> UUID:
        return uuid5(ALERTS, f"{self.entry.alert_id}|{self.action}|{self.key}")


@dataclass(slots=True)
class Ledger:
    """Collects, then writes everything with a handful of statements."""

    closed: list[Entry] = field(default_factory=list)
    written: list[Entry] = field(default_factory=list)
    steps: list[Noted] = field(default_factory=list)

    @property
    def opened(self) -> list[tuple[UUID, UUID]]:
        """The tenants and ids of alerts that are new."""
        return [(each.entry.whose.tenant_id, each.entry.alert_id) for each in self.steps if each.action == "opened"]

    async def write(self, connection: AsyncConnection) -> None:
        """Closing comes first: an episode has one standing alert of a kind at any moment."""
        if self.closed:
            await connection.execute(sql.CLOSE, _closing(self.closed))
        ended, standing = ([each for each in self.written if _stands(each) is wanted] for wanted in (False, True))
        if ended:
            await connection.execute(sql.UPSERT_ALERTS, _columns(ended))
        if standing or self.steps:
            sent = columns(OUTBOX, [_outgoing(step) for step in self.steps], "out_")
            await connection.execute(sql.WRITE, _columns(standing) | _step_columns(self.steps) | sent)


def _stands(entry: Entry) -> bool:
    return entry.state in {"open", "acknowledged"}


def _closing(entries: Sequence[Entry]) -> dict[str, Any]:
    return {
        "tenants": [entry.whose.tenant_id for entry in entries],
        "alerts": [entry.alert_id for entry in entries],
        "states": [entry.state for entry in entries],
    }


def _columns(entries: Sequence[Entry]) -> dict[str, Any]:
    return {
        "tenants": [entry.whose.tenant_id for entry in entries],
        "alerts": [entry.alert_id for entry in entries],
        "clients": [entry.whose.client_id for entry in entries],
        "episodes": [entry.whose.episode_id for entry in entries],
        "owners": [entry.whose.owner_id for entry in entries],
        "kinds": [entry.kind for entry in entries],
        "severities": [entry.severity for entry in entries],
        "states": [entry.state for entry in entries],
        "rules": [entry.rule for entry in entries],
        "policies": [entry.policy for entry in entries],
        "reasons": [entry.reason[:500] for entry in entries],
        "ratings": [entry.rating_id for entry in entries],
        "occurred": [entry.occurred_at for entry in entries],
        "opened": [entry.at for entry in entries],
        "historical": [entry.historical for entry in entries],
        "evidence": [json.dumps(entry.evidence) for entry in entries],
        "versions": [entry.version for entry in entries],
    }


def _step_columns(steps: Sequence[Noted]) -> dict[str, Any]:
    return {
        "step_tenants": [step.entry.whose.tenant_id for step in steps],
        "step_steps": [step.step_id for step in steps],
        "step_alerts": [step.entry.alert_id for step in steps],
        "step_actions": [step.action for step in steps],
        "step_actors": [step.actor for step in steps],
        "step_reasons": [None if step.reason is None else step.reason[:500] for step in steps],
        "step_times": [step.entry.at for step in steps],
    }


def _outgoing(step: Noted) -> Outgoing:
    entry, whose = step.entry, step.entry.whose
    event = AlertStep(
        step_id=step.step_id,
        alert_id=entry.alert_id,
        tenant_id=whose.tenant_id,
        client_id=whose.client_id,
        episode_id=whose.episode_id,
        owner_id=whose.owner_id,
        kind=AlertKind(entry.kind),
        severity=entry.severity,
        action=step.action,
        rule=entry.rule,
        policy=entry.policy,
        historical=entry.historical,
        at=entry.at,
    )
    lane = Lane.RISK if entry.kind == AlertKind.RISK_ITEM else Lane.LIVE
    record = encode(event, event_id=str(step.step_id), source="alerts", time=entry.at)
    return Outgoing(whose.tenant_id, step.step_id, lane, ALERTS_TOPIC.name, record)


def sorted_ids(ids: Iterable[UUID]) -> list[UUID]:
    """One order for everybody who locks."""
    return sorted(set(ids))
