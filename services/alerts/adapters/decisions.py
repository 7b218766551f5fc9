"""Decides episodes anew: loads all that is known of them, folds, reconciles, writes. In the caller's transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import msgspec
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerts.adapters import heirs, mirror, owners, told
from services.alerts.adapters import statements as sql
from services.alerts.adapters.contracts import case_of
from services.alerts.adapters.ledger import Entry, Ledger, Noted, Whose, sorted_ids
from services.alerts.adapters.told import ToldReading
from services.alerts.domain.lifecycle import State
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
        self,
        connection: AsyncConnection,
        clinics: Mapping[UUID, ClinicNow],
        episodes: Iterable[UUID],
        touched: Iterable[UUID] = (),
    ) -> list[Subject]:
        """Work out these episodes' alerts again, and those of the `touched` ones that have any; write what changed.

        The caller's transaction holds the clinics' clocks. Returns what was looked at.
        """
        about = {"tenants": list(clinics), "decide": sorted_ids(episodes), "touched": list(touched)}
        if not about["decide"] and not about["touched"]:
            return []
        known, ledger = _Known(clinics, await connection.execute(sql.KNOWN, about)), Ledger()
        for subject in known.subjects:
            self._decide(ledger, subject, known)
        await ledger.write(connection)
        await owners.follow(connection, known.owned, known.owners)
        if heeded := await heirs.follow(connection, known.heirs, ledger.opened):
            await self.redecide(connection, clinics, heeded)
        return known.subjects

    def _decide(self, ledger: Ledger, subject: Subject, known: _Known) -> None:
        episode, clinic = subject.whose.episode_id, subject.clinic
        readings, live = known.readings[episode], self.live(clinic)
        case = case_of(subject.snapshot, readings, known.acts, clients=clinic.clients, as_of=clinic.as_of)
        stored, merged_into = known.alerts[episode], case.episode.merged_into
        if merged_into:
            known.heirs += heirs.of(subject.whose.tenant_id, merged_into, stored.values(), live.policy.rules)
        for change in reconcile(stored, decided(live, case, stored), merged=merged_into is not None):
            entry = self._entry(subject, change, stored.get(change.alert_id))
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


class _Known:
    """What the records hold of some episodes, from the rows of one look at them."""

    def __init__(self, clinics: Mapping[UUID, ClinicNow], rows: Iterable[Row[Any]]) -> None:
        self.subjects: list[Subject] = []
        self.readings: defaultdict[UUID, list[ToldReading]] = defaultdict(list)
        self.alerts: defaultdict[UUID, dict[UUID, Stored]] = defaultdict(dict)
        self.acts: defaultdict[UUID, tuple[Done, ...]] = defaultdict(tuple)
        self.owned: list[owners.Owned] = []
        self.heirs: list[heirs.Heir] = []
        for row in rows:
            match row.what:
                case "reading":
                    self.readings[row.episode_id].append(told.decode(row.body))
                case "episode":
                    whose = Whose(row.tenant_id, row.one, row.episode_id, row.two)
                    self.subjects.append(Subject(whose, mirror.snapshot(row.body), clinics[row.tenant_id]))
                case "alert":
                    alert = _stored(row.body)
                    self.alerts[row.episode_id][alert.alert_id] = alert
                    self.owned.append(owners.Owned(row.tenant_id, alert.alert_id, row.episode_id, row.one))
                case "act":
                    self.acts[row.one] += (Done(row.body, row.at),)

    @property
    def owners(self) -> dict[UUID, UUID | None]:
        return {each.whose.episode_id: each.whose.owner_id for each in self.subjects}


_decode = msgspec.json.Decoder(tuple[UUID, str, str, State, str, bool, str, UUID | None, str | None]).decode


def _stored(body: str) -> Stored:
    return Stored(*_decode(body))
