"""What a person does to an alert, over the API or a page: a row lock, the life cycle's table, a step with its why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, get_args
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.events import AlertAction
from services.alerts.adapters.ledger import Entry, Ledger, Noted, Whose
from services.alerts.domain.lifecycle import Action, Refusal, State, transition
from services.alerts.metrics import AlertsMetrics
from services.platform.clock import Clock
from services.platform.db import transaction
from services.platform.errors import AttuneError, Refused

Resolution = Literal["discussed", "not-a-rupture", "outside-therapy", "already-known", "entered-in-error"]
RESOLUTIONS: Final[tuple[Resolution, ...]] = get_args(Resolution)
_ALERT = text("select * from alerts.alert where tenant_id = :tenant and alert_id = :alert for update")
_NOW = text("select known_at from alerts.tenant_clock where tenant_id = :tenant")
_DONE: Final[dict[Action, tuple[State, AlertAction]]] = {
    "acknowledge": ("acknowledged", "acknowledged"),
    "resolve": ("resolved", "resolved"),
}


class NoSuchAlert(AttuneError):
    """This clinic has no such alert."""


@dataclass(frozen=True, slots=True)
class LifeCycle:
    """Acknowledge and resolve. Doing the same again changes nothing and is no error."""

    engine: AsyncEngine
    clock: Clock
    metrics: AlertsMetrics

    async def acknowledge(self, tenant_id: UUID, alert_id: UUID, *, by: str) -> None:
        """Somebody has seen it.

        Raises:
            NoSuchAlert: not this clinic's.
            Refused: the alert is at its end already.
        """
        await self._act(tenant_id, alert_id, "acknowledge", by, None)

    async def resolve(self, tenant_id: UUID, alert_id: UUID, *, by: str, reason: str) -> None:
        """Somebody is done with it, for one of the reasons.

        Raises:
            NoSuchAlert: not this clinic's.
            Refused: withdrawn, or no such reason.
        """
        if reason not in RESOLUTIONS:
            raise Refused("no such reason", hint=f"one of {', '.join(RESOLUTIONS)}")
        await self._act(tenant_id, alert_id, "resolve", by, reason)

    async def _act(self, tenant: UUID, alert: UUID, action: Action, by: str, reason: str | None) -> None:
        async with transaction(self.engine, [tenant]) as connection:
            row = (await connection.execute(_ALERT, {"tenant": tenant, "alert": alert})).one_or_none()
            if row is None:
                raise NoSuchAlert("this clinic has no such alert")
            state, noted = _DONE[action]
            if row.state == state:
                return
            after = transition(row.state, action)
            if isinstance(after, Refusal):
                raise Refused(
                    f"the alert is {row.state}", hint=f"possible now: {', '.join(after.allowed) or 'nothing'}"
                )
            await self._write(connection, row, after, noted, (by, reason))

    async def _write(
        self, connection: AsyncConnection, row: Row[Any], after: State, noted: AlertAction, said: tuple[str, str | None]
    ) -> None:
        known_at = (await connection.execute(_NOW, {"tenant": row.tenant_id})).scalar()
        entry = _entry(row, after, known_at or self.clock.now())
        by, reason = said
        ledger = Ledger(closed=[entry], steps=[Noted(entry, noted, reason, key=entry.at.isoformat(), actor=by)])
        await ledger.write(connection)
        self.metrics.steps.labels(entry.kind, noted).inc()


def _entry(row: Row[Any], state: State, at: datetime) -> Entry:
    return Entry(
        whose=Whose(row.tenant_id, row.client_id, row.episode_id, row.owner_id),
        alert_id=row.alert_id,
        kind=row.kind,
        severity=row.severity,
        state=state,
        rule=row.rule,
        policy=row.policy,
        reason=row.reason,
        occurred_at=row.occurred_at,
        at=at,
        historical=row.historical,
        rating_id=row.rating_id,
        evidence=row.evidence,
        version=row.version,
    )
