"""Decides episodes anew: loads all that is known of them, folds, reconciles, writes. In the caller's transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerts.adapters import mirror, told
from services.alerts.adapters import statements as sql
from services.alerts.adapters.contracts import case_of
from services.alerts.adapters.ledger import Entry, Ledger, Noted, Whose, sorted_ids
from services.alerts.adapters.told import ToldReading
from services.alerts.domain.live_policy import LivePolicy, decided
from services.alerts.domain.policy import Policy
from services.alerts.domain.reconcile import Change, Stored, reconcile
from services.alerts.domain.record import Done
from services.alerts.domain.wanted import Wanted
from services.alerts.metrics import AlertsMetrics


@dataclass(frozen=True, slots=True)
class ClinicNow:
    """A clinic's now and size, as decisions take them. `swept_at` is the now that deadlines are held against.

    `shadow`: the policy it tries beside the live one; `live`: where it has, or had, one of its own.
    """

    now: datetime
    swept_at: datetime | None
    clients: int
    shadow: str | None = None
    live: LivePolicy | None = None

    @property
    def as_of(self) -> datetime:
        """Before the first sweep no deadline has passed."""
        return self.swept_at or datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class Decisions:
    """Decides under the installation's policy, or the clinic's own."""

    policy: Policy
    metrics: AlertsMetrics

    def live(self, clinic: ClinicNow) -> LivePolicy:
        """What is in force in this clinic."""
        return clinic.live or LivePolicy(self.policy)

    async def redecide(
        self, connection: AsyncConnection, clinics: Mapping[UUID, ClinicNow], episodes: Iterable[UUID]
    ) -> list[Subject]:
        """Work out these episodes' alerts again and write what changed. Returns what was looked at."""
        wanted = sorted_ids(episodes)
        if not wanted:
            return []
        about = {"tenants": list(clinics), "episodes": wanted}
        subjects = [_subject(row, clinics) for row in await connection.execute(sql.SNAPSHOTS, about)]
        known, ledger = await _known(connection, about), Ledger()
        for subject in subjects:
            self._decide(ledger, subject, known)
        await ledger.write(connection)
        return subjects

    def _decide(self, ledger: Ledger, subject: Subject, known: _Known) -> None:
        episode, clinic = subject.whose.episode_id, subject.clinic
        readings, live = known.readings[episode], self.live(clinic)
        case = case_of(subject.snapshot, readings, known.acts, clients=clinic.clients, as_of=clinic.as_of)
        for change in reconcile(known.alerts[episode], decided(live, case, known.alerts[episode])):
            entry = self._entry(subject, change, known.alerts[episode].get(change.alert_id))
            (ledger.closed if change.wanted is None else ledger.written).append(entry)
            for action, why in change.steps:
                ledger.steps.append(Noted(entry, action, why, key=subject.ground))
                self.metrics.steps.labels(entry.kind, action).inc()

    def _entry(self, subject: Subject, change: Change, stored: Stored | None) -> Entry:
        if change.wanted is None:
            return _unfounded(subject, cast("Stored", stored), change, self.live(subject.clinic).policy.name)
        wanted: Wanted = change.wanted
        return Entry(
            whose=subject.whose,
            alert_id=wanted.alert_id,
            kind=wanted.kind,
            severity=wanted.severity,
            state=change.state,
            rule=wanted.rule,
            policy=self.live(subject.clinic).policy.name,
            reason=wanted.reason,
            occurred_at=wanted.occurred_at,
            at=subject.clinic.now,
            historical=wanted.historical,
            rating_id=wanted.rating_id,
            evidence=dict(wanted.evidence),
        )


@dataclass(frozen=True, slots=True)
class Subject:
    """One episode to decide about, as it stands in the records."""

    whose: Whose
    snapshot: mirror.EpisodeSnapshot
    clinic: ClinicNow

    @property
    def ground(self) -> str:
        """What a step rests on: noted again on the same ground, it is the same step."""
        revision = self.snapshot.revision
        version = self.clinic.live.version if self.clinic.live else None
        under = "" if version is None else f".{version}"
        return f"{revision.engine}.{revision.facts}.{self.clinic.clients}.{self.clinic.swept_at}{under}"


def _subject(row: Row[Any], clinics: Mapping[UUID, ClinicNow]) -> Subject:
    whose = Whose(row.tenant_id, row.client_id, row.episode_id, row.owner_id)
    return Subject(whose, mirror.snapshot(row.snapshot), clinics[row.tenant_id])


def _unfounded(subject: Subject, stored: Stored, change: Change, policy: str) -> Entry:
    return Entry(
        whose=subject.whose,
        alert_id=stored.alert_id,
        kind=stored.kind,
        severity=cast("Any", stored.severity),
        state=change.state,
        rule=stored.rule,
        policy=policy,
        reason=stored.reason,
        occurred_at=subject.clinic.now,
        at=subject.clinic.now,
        historical=stored.historical,
    )


@dataclass(frozen=True, slots=True)
class _Known:
    """What the records hold of some episodes."""

    readings: Mapping[UUID, list[ToldReading]]
    alerts: Mapping[UUID, dict[UUID, Stored]]
    acts: Mapping[UUID, tuple[Done, ...]]


async def _known(connection: AsyncConnection, about: Mapping[str, Any]) -> _Known:
    readings: defaultdict[UUID, list[ToldReading]] = defaultdict(list)
    for row in await connection.execute(sql.READINGS, about):
        readings[row.episode_id].append(told.decode(row.reading))
    alerts: defaultdict[UUID, dict[UUID, Stored]] = defaultdict(dict)
    for row in await connection.execute(sql.ALERTS, about):
        alerts[row.episode_id][row.alert_id] = Stored(
            row.alert_id, row.kind, row.severity, row.state, row.reason, row.historical, row.rule, row.rating_id
        )
    acts: defaultdict[UUID, tuple[Done, ...]] = defaultdict(tuple)
    standing = [alert for each in alerts.values() for alert in each]
    for row in await connection.execute(sql.ACTS, {**about, "alerts": standing}) if standing else ():
        acts[row.alert_id] += (Done(row.action, row.at),)
    return _Known(readings, alerts, acts)
