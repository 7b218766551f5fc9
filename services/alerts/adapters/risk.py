"""Risk answers: one alert for each, past every model; nothing suppresses it, and only a person ends it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.events import AlertAction, AlertKind, RiskAnswered
from services.alerts.adapters import heirs
from services.alerts.adapters import statements as sql
from services.alerts.adapters.decisions import ClinicNow
from services.alerts.adapters.ledger import Entry, Ledger, Noted, Whose
from services.alerts.domain.lifecycle import STANDING, State
from services.alerts.domain.wanted import alert_id
from services.alerts.domain.wording import measure, shown

RULE = "risk-answer"
POLICY = "risk-1"
Clinics = Mapping[UUID, ClinicNow]


def risk_alert_id(answer: RiskAnswered) -> UUID:
    return alert_id(answer.episode_id, AlertKind.RISK_ITEM, f"{answer.record_id}|{answer.item}", RULE)


async def take(connection: AsyncConnection, clinics: Clinics, answers: Iterable[RiskAnswered]) -> int:
    """Open an alert for each answer, or correct the one there is. Returns how many steps were noted."""
    latest: dict[UUID, RiskAnswered] = {}
    for answer in answers:
        known = latest.get(risk_alert_id(answer))
        if known is None or answer.version > known.version:
            latest[risk_alert_id(answer)] = answer
    if not latest:
        return 0
    stored, owners, merged = await _stored(connection, latest, clinics)
    ledger = Ledger()
    for alert, answer in sorted(latest.items()):
        owner = owners.get(answer.episode_id, answer.clinician_id)
        _note(ledger, answer, _Known(stored.get(alert), owner, answer.episode_id in merged), clinics[answer.tenant_id])
    await ledger.write(connection)
    await heirs.follow(connection, (), ledger.opened)
    return len(ledger.steps)


async def _stored(
    connection: AsyncConnection, latest: Mapping[UUID, RiskAnswered], clinics: Clinics
) -> tuple[dict[UUID, Any], dict[UUID, UUID | None], set[UUID]]:
    about = {"tenants": list(clinics), "alerts": list(latest)}
    stored = {row.alert_id: row for row in await connection.execute(sql.KNOWN_RISKS, about)}
    about = {"tenants": list(clinics), "episodes": [answer.episode_id for answer in latest.values()]}
    episodes = (await connection.execute(sql.OWNERS, about)).all()
    owners = {row.episode_id: row.owner_id for row in episodes}
    return stored, owners, {row.episode_id for row in episodes if row.merged}


class _Known(NamedTuple):
    """The alert there is, whose it would be, and whether its client was merged into another one."""

    stored: Any
    owner: UUID | None
    merged: bool


def _note(ledger: Ledger, answer: RiskAnswered, known: _Known, clinic: ClinicNow) -> None:
    if known.stored is not None and known.stored.version >= answer.version:
        return
    state, action = _after(answer, known.stored)
    if known.merged and state in STANDING:
        state, action = "withdrawn", None  # the same answer asks for a look where the client is now
    entry = _entry(answer, state, known.owner, clinic)
    ledger.written.append(entry)
    if action is not None:
        ledger.steps.append(Noted(entry, action, entry.reason, key=str(answer.version)))


def _after(answer: RiskAnswered, stored: Any) -> tuple[State, AlertAction | None]:  # noqa: ANN401 - a row
    """The state after an answer, and the step to note.

    A corrected form without a risk answer leaves a mark, so that the version before it, coming later, opens nothing.
    A worse answer opens again what a person had resolved: what she saw then was less.
    """
    if stored is None:
        return ("open", "opened") if _speaks(answer) else ("withdrawn", None)
    worse = answer.value is not None and answer.value > float(stored.evidence.get("value", 0.0))
    if worse and stored.state not in STANDING:
        return "open", "reopened"
    return stored.state, "updated"


def _speaks(answer: RiskAnswered) -> bool:
    return answer.value is not None and answer.value >= 1


def _entry(answer: RiskAnswered, state: State, owner: UUID | None, clinic: ClinicNow) -> Entry:
    return Entry(
        whose=Whose(answer.tenant_id, answer.client_id, answer.episode_id, owner),
        alert_id=risk_alert_id(answer),
        kind=AlertKind.RISK_ITEM,
        severity="urgent" if answer.urgent else "red",
        state=state,
        rule=RULE,
        policy=POLICY,
        reason=reason(answer),
        occurred_at=answer.occurred_at,
        at=clinic.now,
        historical=answer.historical,
        rating_id=answer.record_id,
        evidence={"instrument": answer.instrument, "item": answer.item, **_value(answer)},
        version=answer.version,
    )


def _value(answer: RiskAnswered) -> dict[str, float]:
    return {} if answer.value is None else {"value": answer.value}


def reason(answer: RiskAnswered) -> str:
    """What was answered; an absent or low answer is told as it is, never as reassurance."""
    about = f"{measure(answer.instrument)} {answer.item}"
    if answer.value is None:
        return f"the clinic took back the form with {about}; please look whether it still matters"
    if _speaks(answer):
        return f"{about} was answered {shown(answer.value)}"
    return f"the clinic corrected {about} to {shown(answer.value)}; please look whether it still matters"
