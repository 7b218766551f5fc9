"""From the published language to the domain's own values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

from schemas import events
from schemas.instruments import Instrument, lookup
from services.alerts.adapters import mirror
from services.alerts.adapters.told import ToldReading
from services.alerts.domain.record import Case, Done, Episode, Forecast, Number, Rated

Reading = events.Reading | mirror.Reading | ToldReading
Snapshot = events.EpisodeSnapshot | mirror.EpisodeSnapshot


def rated_of(reading: Reading) -> Rated | None:
    """The rating as policy looks at it; `None` for what is no measure of ours, or not rated by the client."""
    instrument = lookup(reading.instrument)
    if not isinstance(instrument, Instrument) or reading.rater != "client":
        return None
    return Rated(
        rating_id=reading.rating_id,
        session=str(reading.session_id or reading.rating_id),
        at=reading.occurred_at,
        instrument=reading.instrument,
        rater=reading.rater,
        span=instrument.total.span,
        step=instrument.total.step,
        total=reading.total,
        index=reading.index,
        numbers={each.detector: Number(each.value, each.reason, each.details) for each in reading.signals},
        quantiles=reading.expected.quantiles if reading.expected else {},
        historical=reading.historical,
        family=instrument.family,
        better=1 if instrument.direction == "up" else -1,
        recorded_at=reading.recorded_at,
    )


def episode_of(snapshot: Snapshot) -> Episode:
    attendance = snapshot.attendance
    return Episode(
        episode_id=snapshot.episode_id,
        is_open=snapshot.status == "open",
        closed_at=snapshot.closed_at,
        known_at=snapshot.known_at,
        last_attended_at=attendance.last_attended_at,
        attended=attendance.attended,
        missed_before_third=attendance.missed_before_third,
        missed_at=tuple(each.starts_at for each in attendance.recent if each.outcome == "missed"),
        silent_amber_at=snapshot.silent_amber_at,
        silent_red_at=snapshot.silent_red_at,
        silence_reason=snapshot.silence_reason,
        forecast=_forecast(snapshot.dropout) if snapshot.dropout else None,
        merged_into=snapshot.merged_into,
    )


def _forecast(seen: events.DropoutForecast | mirror.DropoutForecast) -> Forecast:
    return Forecast(
        session=str(seen.session_id),
        number=seen.session_number,
        at=seen.at,
        within_three=seen.within_three,
        line=seen.line,
        since=str(seen.since) if seen.since else None,
        otherwise=seen.otherwise,
        reason=seen.reason,
        historical=seen.historical,
    )


def case_of(
    snapshot: Snapshot,
    readings: Iterable[Reading],
    acts: Mapping[UUID, tuple[Done, ...]],
    *,
    clients: int,
    as_of: datetime,
) -> Case:
    """All that a decision about this episode may look at."""
    ratings = tuple(rated for reading in readings if (rated := rated_of(reading)) is not None)
    return Case(episode_of(snapshot), ratings, acts, clients, as_of)
