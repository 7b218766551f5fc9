"""What the pages read, always as one clinic and, for a clinician, as the owner of the episode."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, TypedDict
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.events import AlertKind, EpisodeSnapshot, Reading
from services.alerts.web.records import Alert, Case, Step, Viewer
from services.platform.clock import Clock
from services.platform.db import transaction
from services.platform.vault import Vault

Show = Literal["alerts", "care", "all"]
PAGE_SIZE: Final = 50
_MINE: Final = "tenant_id = :tenant and (cast(:clinician as uuid) is null or owner_id = cast(:clinician as uuid))"
"""The tenant again, beside row-level security: the keys begin with it."""
_MARK: Final = "(kind = 'risk-item' and state = 'withdrawn')"
"""Remembers that a form was corrected before its answer came; there was never anything to see."""
_CASELOAD: Final = f"""
with mine as (
    select distinct on (client_id) client_id, episode_id, status, last_attended_at
    from alerts.episode where status <> 'merged' and {_MINE}
    order by client_id, status = 'open' desc, opened_at desc nulls last, episode_id
), waiting as (
    select client_id, max(case when kind = 'risk-item' or severity = 'urgent' then 4
                               when severity = 'red' then 3
                               when severity = 'amber' then 2
                               else 1 end + case when state = 'open' then 4 else 0 end) as urgency
    from alerts.alert where state in ('open', 'acknowledged') and not historical and {_MINE} group by client_id
), listed as (
    select mine.*, waiting.urgency from mine left join waiting using (client_id)
)
"""  # noqa: S608 - put together from the constants above
_SHOWN: Final[dict[Show, str]] = {
    "alerts": "urgency is not null",
    "care": "(status = 'open' or urgency is not null)",
    "all": "true",
}
_COUNTS: Final = text(
    _CASELOAD  # noqa: S608 - put together from the constants above
    + "select "
    + ", ".join(f'count(*) filter (where {shown}) as "{name}"' for name, shown in _SHOWN.items())
    + " from listed"
)
_PAGE: Final = {
    name: text(
        f"{_CASELOAD} select episode_id from listed where {shown} "  # noqa: S608 - constants again
        "order by urgency desc nulls last, last_attended_at desc nulls last, client_id limit :limit offset :offset"
    )
    for name, shown in _SHOWN.items()
}
_EPISODES: Final = text(
    "select snapshot from alerts.episode where tenant_id = :tenant and episode_id = any(cast(:episodes as uuid[]))"
)
_CLIENTS_EPISODES: Final = text(
    f"select snapshot from alerts.episode where client_id = :client and status <> 'merged' and {_MINE} "  # noqa: S608 - a constant
    "order by status = 'open' desc, opened_at desc nulls last, episode_id"
)
_SURVIVOR: Final = text("""
    with recursive went as (
        select tenant_id, episode_id, client_id, status, snapshot from alerts.episode
        where tenant_id = :tenant and client_id = :client
        union
        select e.tenant_id, e.episode_id, e.client_id, e.status, e.snapshot
        from went join alerts.episode e on e.tenant_id = went.tenant_id
          and e.episode_id = cast(went.snapshot ->> 'merged_into' as uuid))
    select client_id from went where status <> 'merged' order by client_id limit 1
""")
"""Who a client is by now, whatever she was merged into since."""
_READINGS: Final = text(
    "select episode_id, reading from alerts.reading "
    "where tenant_id = :tenant and episode_id = any(cast(:episodes as uuid[])) and not withdrawn order by occurred_at"
)
_ALERTS: Final = text(
    f"select * from alerts.alert where not {_MARK} and client_id = any(cast(:clients as uuid[])) and {_MINE} "  # noqa: S608 - a constant
    "order by opened_at, alert_id"
)
_CLIENT_OF: Final = text(f"select client_id from alerts.alert where alert_id = :alert and {_MINE}")  # noqa: S608 - a constant
_STEPS: Final = text(
    "select * from alerts.step where tenant_id = :tenant and alert_id = any(cast(:alerts as uuid[])) order by number"
)
_CLINICS: Final = text("select tenant_id, display_name from access.tenant order by display_name")
_CLINICIANS: Final = text(
    "select distinct owner_id from alerts.episode where tenant_id = :tenant and owner_id is not null"
)
_FEED_CLOCK: Final = text("select known_at from alerts.tenant_clock where tenant_id = :tenant")


class Counts(TypedDict):
    """How many clients each tab shows."""

    alerts: int
    care: int
    all: int


@dataclass(frozen=True, slots=True)
class Clinician:
    clinician_id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class Clinic:
    tenant_id: UUID
    name: str
    clinicians: tuple[Clinician, ...]


@dataclass(frozen=True, slots=True)
class Records:
    """Everything the pages ask of the database; each method is one transaction that sees one clinic."""

    engine: AsyncEngine
    vault: Vault
    clock: Clock

    async def clinics(self) -> list[Clinic]:
        """For the development sign-in: every clinic, its clinicians by their own names, in order of the alphabet."""
        async with transaction(self.engine) as connection:
            rows = (await connection.execute(_CLINICS)).all()
        return [Clinic(row.tenant_id, row.display_name, await self._clinicians(row.tenant_id)) for row in rows]

    async def may_enter(self, viewer: Viewer) -> bool:
        """Whether there is such a clinic, and such a clinician in it."""
        async with transaction(self.engine, [viewer.tenant_id]) as connection:
            clinics = {row.tenant_id for row in await connection.execute(_CLINICS)}
            clinicians = {row.owner_id for row in await connection.execute(_CLINICIANS, {"tenant": viewer.tenant_id})}
        return viewer.tenant_id in clinics and viewer.clinician_id in clinicians | {None}

    async def tenant_name(self, tenant: UUID) -> str:
        async with transaction(self.engine, [tenant]) as connection:
            rows = (await connection.execute(_CLINICS)).all()
        return next((str(row.display_name) for row in rows if row.tenant_id == tenant), "")

    async def now(self, tenant: UUID) -> datetime:
        """The clinic's now: its feed's where the feed is the clock, else ours."""
        async with transaction(self.engine, [tenant]) as connection:
            known_at: datetime | None = (await connection.execute(_FEED_CLOCK, {"tenant": tenant})).scalar()
        return known_at or self.clock.now()

    async def caseload(self, viewer: Viewer, show: Show, page: int) -> tuple[list[Case], Counts]:
        """One page of clients, what asks most for a person first, and how many each tab has."""
        about = _who(viewer)
        place = about | {"limit": PAGE_SIZE, "offset": (page - 1) * PAGE_SIZE}
        async with transaction(self.engine, [viewer.tenant_id]) as connection:
            counted = (await connection.execute(_COUNTS, about)).one()
            listed = [row.episode_id for row in await connection.execute(_PAGE[show], place)]
            found = await connection.execute(_EPISODES, {"tenant": viewer.tenant_id, "episodes": listed})
            by_id = {snapshot.episode_id: snapshot for snapshot in map(_snapshot, found)}
            cases = await _cases(connection, viewer, [by_id[episode] for episode in listed])
        return cases, Counts(alerts=counted.alerts, care=counted.care, all=counted.all)

    async def client(self, viewer: Viewer, client_id: UUID) -> list[Case]:
        """The client's courses of care that the viewer may see, the current one first; none is as good as no client."""
        about = _who(viewer) | {"client": client_id}
        async with transaction(self.engine, [viewer.tenant_id]) as connection:
            snapshots = [_snapshot(row) for row in await connection.execute(_CLIENTS_EPISODES, about)]
            return await _cases(connection, viewer, snapshots)

    async def references(self, viewer: Viewer, people: Iterable[UUID | None], *, purpose: str) -> dict[UUID, str]:
        """The clinic's own names for these people and the viewer, opened together, each opening audited."""
        wanted = [each for each in {*people, viewer.clinician_id} if each is not None]
        async with transaction(self.engine, [viewer.tenant_id]) as connection:
            return await self.vault.open(connection, viewer.tenant_id, wanted, opened_by=viewer.actor, purpose=purpose)

    async def find(self, viewer: Viewer, reference: str) -> UUID | None:
        """The client with exactly this reference, if the viewer may see her."""
        async with transaction(self.engine, [viewer.tenant_id]) as connection:
            named = await self.vault.find(connection, viewer.tenant_id, "client", reference)
            about = _who(viewer) | {"client": named}
            found: UUID | None = (await connection.execute(_SURVIVOR, about)).scalar() if named else None
            about |= {"client": found}
            seen = (await connection.execute(_CLIENTS_EPISODES, about)).first() if found else None
        return found if seen else None

    async def client_of(self, viewer: Viewer, alert_id: UUID) -> UUID | None:
        """Whose alert it is, if the viewer may see it."""
        async with transaction(self.engine, [viewer.tenant_id]) as connection:
            found: UUID | None = (await connection.execute(_CLIENT_OF, _who(viewer) | {"alert": alert_id})).scalar()
        return found

    async def _clinicians(self, tenant: UUID) -> tuple[Clinician, ...]:
        async with transaction(self.engine, [tenant]) as connection:
            known = [row.owner_id for row in await connection.execute(_CLINICIANS, {"tenant": tenant})]
            names = await self.vault.open(
                connection, tenant, known, opened_by="development-login", purpose="development login"
            )
        named = [Clinician(each, names.get(each, str(each))) for each in known]
        return tuple(sorted(named, key=lambda clinician: clinician.name))


async def _cases(connection: AsyncConnection, viewer: Viewer, snapshots: Sequence[EpisodeSnapshot]) -> list[Case]:
    """What belongs to these episodes; alerts are the client's, so that none hides behind an episode that ended."""
    readings: dict[UUID, list[Reading]] = defaultdict(list)
    episodes = [snapshot.episode_id for snapshot in snapshots]
    for row in await connection.execute(_READINGS, {"tenant": viewer.tenant_id, "episodes": episodes}):
        readings[row.episode_id].append(Reading.model_validate(row.reading, strict=False))
    alerts = await _alerts(connection, viewer, [snapshot.client_id for snapshot in snapshots])
    return [
        Case(snapshot, tuple(readings[snapshot.episode_id]), tuple(alerts[snapshot.client_id]))
        for snapshot in snapshots
    ]


async def _alerts(connection: AsyncConnection, viewer: Viewer, clients: Sequence[UUID]) -> dict[UUID, list[Alert]]:
    about = _who(viewer) | {"clients": list(clients)}
    rows = (await connection.execute(_ALERTS, about)).all()
    steps: dict[UUID, list[Step]] = defaultdict(list)
    for row in await connection.execute(_STEPS, {"tenant": viewer.tenant_id, "alerts": [row.alert_id for row in rows]}):
        steps[row.alert_id].append(Step(row.action, row.at, row.actor, row.reason))
    found: dict[UUID, list[Alert]] = defaultdict(list)
    for row in rows:
        found[row.client_id].append(_alert(row, tuple(steps[row.alert_id])))
    return found


def _who(viewer: Viewer) -> dict[str, object]:
    return {"tenant": viewer.tenant_id, "clinician": viewer.clinician_id}


def _snapshot(row: Row[Any]) -> EpisodeSnapshot:
    return EpisodeSnapshot.model_validate(row.snapshot, strict=False)


def _alert(row: Row[Any], steps: tuple[Step, ...]) -> Alert:
    return Alert(
        alert_id=row.alert_id,
        client_id=row.client_id,
        episode_id=row.episode_id,
        kind=AlertKind(row.kind),
        severity=row.severity,
        state=row.state,
        reason=row.reason,
        rating_id=row.rating_id,
        occurred_at=row.occurred_at,
        opened_at=row.opened_at,
        historical=row.historical,
        rule=row.rule,
        policy=row.policy,
        evidence=row.evidence,
        steps=steps,
    )
