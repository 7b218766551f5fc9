"""The client page as values: one episode at a time, others of the same client as tabs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from schemas.events import EpisodeSnapshot
from services.alerts.web.cards import Card, card
from services.alerts.web.chart import Panel, Series, panel, series
from services.alerts.web.records import Case
from services.alerts.web.views import (
    UNKNOWN_REFERENCE,
    SessionRow,
    Visit,
    attendance_text,
    leaving_text,
    next_booking,
    quality_notes,
    session_rows,
    spark_text,
    urgency,
    visits,
)
from services.alerts.web.words import ago, day, instrument_name, number


@dataclass(frozen=True, slots=True)
class PanelView:
    """A chart with what is written around it."""

    id: str
    name: str
    rater: str
    scale: str
    text: str
    rows: list[SessionRow]


@dataclass(frozen=True, slots=True)
class EpisodeTab:
    episode_id: UUID
    name: str
    current: bool


@dataclass(frozen=True, slots=True)
class ClientPage:
    client_id: UUID
    reference: str
    owner: str | None
    status: str
    attended: str
    attended_ago: str
    next_booking: str | None
    incomplete: bool
    episodes: list[EpisodeTab]
    standing: list[Card]
    past: list[Card]
    panels: list[PanelView]
    panels_json: list[Panel]
    attendance: str
    leaving: str | None
    visits: list[Visit]
    quality: list[str]
    resolutions: list[tuple[str, str]]


def client_page(
    cases: Sequence[Case],
    chosen: Case,
    references: Mapping[UUID, str],
    resolutions: dict[str, str],
    *,
    now: datetime,
) -> ClientPage:
    snapshot, last = chosen.snapshot, chosen.snapshot.attendance.last_attended_at
    upcoming, drawn = next_booking(snapshot, now), series(chosen.readings)
    waiting = sorted((alert for alert in chosen.alerts if alert.standing), key=urgency, reverse=True)
    return ClientPage(
        client_id=snapshot.client_id,
        reference=references.get(snapshot.client_id, UNKNOWN_REFERENCE),
        owner=references.get(snapshot.owner_id) if snapshot.owner_id else None,
        status=_status(snapshot),
        attended=day(last) if last else "none yet",
        attended_ago=ago(last, now) if last else "",
        next_booking=day(upcoming) if upcoming else None,
        incomplete=snapshot.incomplete,
        episodes=[_tab(case, chosen) for case in cases],
        standing=[card(alert, resolutions) for alert in waiting],
        past=[card(alert, resolutions) for alert in reversed(chosen.alerts) if not alert.standing],
        panels=[_panel_view(each, chosen) for each in drawn],
        panels_json=[panel(each, chosen.alerts, snapshot.attendance.recent) for each in drawn],
        attendance=attendance_text(snapshot),
        leaving=leaving_text(snapshot),
        visits=visits(snapshot),
        quality=quality_notes(chosen.readings),
        resolutions=list(resolutions.items()),
    )


def _status(snapshot: EpisodeSnapshot) -> str:
    since = f" since {day(snapshot.opened_at)}" if snapshot.opened_at else ""
    if snapshot.status == "open":
        return f"In care{since}"
    return f"Care ended {day(snapshot.closed_at)}" if snapshot.closed_at else "Care ended"


def _tab(case: Case, chosen: Case) -> EpisodeTab:
    opened, closed = case.snapshot.opened_at, case.snapshot.closed_at
    first = day(opened) if opened else "an unknown day"
    name = f"{first} to {day(closed)}" if closed else f"Since {first}"
    return EpisodeTab(case.snapshot.episode_id, name, case is chosen)


def _panel_view(drawn: Series, case: Case) -> PanelView:
    return PanelView(
        id=drawn.id,
        name=instrument_name(drawn.key),
        rater=f"rated by the {drawn.rater}",
        scale=_scale(drawn),
        text=spark_text(drawn),
        rows=session_rows(drawn, case.alerts),
    )


def _scale(drawn: Series) -> str:
    instrument = drawn.instrument
    if instrument is None:
        return "scale not known"
    better = "higher is better" if instrument.direction == "up" else "lower is better"
    return f"{number(instrument.total.low)} to {number(instrument.total.high)}, {better}"
