"""Whether a client is about to leave: the clinic's hazard of dropout at the end of the latest session of an episode.

A session's features are what was known when it ended: its own rating, what ratings before it amount to, the
appointments up to it, and bookings made by a day after it. What is recorded later changes nothing here, but for
corrections of what was there. Where the clinic has no model, or one that may not speak, nothing is said.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import islice
from operator import attrgetter
from typing import Any, Final, NamedTuple

from services.scoring.domain import hazard, off_track, series
from services.scoring.domain.attendance import Appointment, Diary
from services.scoring.domain.config import EngineConfig, SeriesConfig, series_config, upwards
from services.scoring.domain.course import Course, Observation
from services.scoring.domain.facts import DAY, Fact
from services.scoring.domain.views import total_of

LONGEST_RUN: Final = 12
"""Sessions looked back at for the beginning of a run: an older one is said to begin there."""
States = Sequence[series.State | None]
"""Where its series stood after each of a course's ratings."""
_HAPPENED: Final = ("attended", "missed")
_TELLING: Final = 10
"""Appointments back in which a booking shows that the clinic tells of them."""
_AT: Final = attrgetter("fact.occurred_at")


class Forecast(NamedTuple):
    """The hazard as a session ended. `since`: the session with which a run of such sessions began, if this is one.

    `otherwise`: the chance within three sessions if the feature that adds most were as usual; told with `since`.
    """

    session_id: str
    session: int
    at: int
    line: float
    since: str | None
    otherwise: float | None
    historical: bool
    hazard: hazard.Hazard


def forecast(engine: EngineConfig, course: Course, states: States) -> Forecast | None:
    """What is said at the end of the latest session; `None` without a model that may speak, or a session."""
    model = engine.hazard
    came = [each for each in course.diary.appointments if each.outcome == "attended"] if model else []
    found = _predicted(engine, course, states, came[-1]) if came else None
    if model is None or found is None:
        return None
    last, reached = came[-1], found.within_three >= model.line
    return Forecast(
        last.session_id,
        len(came),
        last.starts_at,
        model.line,
        _began(engine, course, states, came, model.line) if reached else None,
        _otherwise(engine, course, states, last, found) if reached else None,
        all(fact.historical for fact in course.diary.told[last.session_id]),
        found,
    )


def features(engine: EngineConfig, course: Course, states: States, session: Appointment) -> hazard.Features | None:
    """As this session ended; `None` where the client's alliance was never rated on a form that is known."""
    config = measured(engine, course)
    if config is None or config.leaving is None:
        return None
    place = _latest(course, config.instrument.key, session)
    stood = None if place is None else states[place]
    followed = stood.allied.leaving if stood is not None and stood.allied is not None else None
    rated = place is not None and _rated(course.observations[place], session)
    ended = _ended(engine, course, states, session, rated=followed is not None and rated)
    return hazard.features(config.leaving, followed or hazard.start(config.leaving), ended)


def _otherwise(
    engine: EngineConfig, course: Course, states: States, session: Appointment, found: hazard.Hazard
) -> float | None:
    seen = features(engine, course, states, session)
    name, added = max(found.contributions[1:], key=lambda each: each[1], default=("", 0.0))
    if seen is None or engine.hazard is None or added <= 0:
        return None
    usual: dict[str, Any] = {name: None}
    return hazard.weigh(engine.hazard, seen._replace(**usual)).within_three


def _rated(seen: Observation, session: Appointment) -> bool:
    return seen.fact.session == session.session_id and total_of(seen) is not None


def _predicted(engine: EngineConfig, course: Course, states: States, session: Appointment) -> hazard.Hazard | None:
    found = features(engine, course, states, session) if engine.hazard else None
    if engine.hazard is None or found is None:
        return None
    told = hazard.predict(engine.hazard, found)
    return told if isinstance(told, hazard.Hazard) else None


def _began(engine: EngineConfig, course: Course, states: States, came: Sequence[Appointment], line: float) -> str:
    """Back from the latest, which reaches the line, as long as sessions do."""
    first = came[-1].session_id
    for session in islice(reversed(came), 1, LONGEST_RUN):
        found = _predicted(engine, course, states, session)
        if found is None or found.within_three < line:
            break
        first = session.session_id
    return first


def measured(engine: EngineConfig, course: Course) -> SeriesConfig | None:
    """The first alliance measure that the client filled in."""
    for seen in course.observations:
        if seen.rating.rater == "client":
            config = series_config(engine, seen.rating.instrument)
            if isinstance(config, SeriesConfig) and config.instrument.family == "alliance":
                return config
    return None


def _latest(course: Course, instrument: str, session: Appointment) -> int | None:
    """The session's own rating with this form, else the last one before it."""
    for place in reversed(range(bisect_right(course.observations, session.starts_at + DAY, key=_AT))):
        seen = course.observations[place]
        own = seen.fact.session == session.session_id
        if seen.rating[:2] == (instrument, "client") and (own or _AT(seen) <= session.starts_at):
            return place
    return None


def _ended(engine: EngineConfig, course: Course, states: States, session: Appointment, *, rated: bool) -> hazard.Ended:
    """Where a clinic tells of no bookings, that none is known says nothing."""
    diary = course.diary
    number, here = bisect_right(diary.times["attended"], session.starts_at), bisect_left(diary.appointments, session)
    happened = (each.outcome for each in reversed(diary.appointments[: here + 1]) if each.outcome in _HAPPENED)
    return hazard.Ended(
        session=number,
        rated=rated,
        gap_days=(session.starts_at - diary.times["attended"][number - 2]) / DAY if number > 1 else None,
        missed_of_last_three=sum(outcome == "missed" for outcome in islice(happened, 3)),
        next_booked=_next_booked(diary, here),
        off_track=_off_track(engine, course, states, session),
    )


def _next_booked(diary: Diary, here: int) -> bool | None:
    """Whether one after this was booked by then; `None` where nothing says that the clinic tells of bookings."""
    until = diary.appointments[here].starts_at + DAY
    if any(_booked(diary, each, until) for each in diary.appointments[here + 1 :]):
        return True
    told = any(_booked(diary, each, until) for each in diary.appointments[max(0, here - _TELLING) : here + 1])
    return False if told else None


def _booked(diary: Diary, appointment: Appointment, until: int) -> bool:
    return any(fact.kind == "session.booked" and known_at(fact) <= until for fact in diary.told[appointment.session_id])


def known_at(fact: Fact) -> int:
    """When a fact was known; what was imported later was known when it happened, as far as anybody can say."""
    return fact.occurred_at if fact.historical else fact.recorded_at


def _off_track(engine: EngineConfig, course: Course, states: States, session: Appointment) -> float | None:
    """Of the outcome measure that belongs to the session, if there is one."""
    for place in reversed(range(bisect_right(course.observations, session.starts_at + DAY, key=_AT))):
        seen, stood = course.observations[place], states[place]
        if _AT(seen) < session.starts_at - DAY:
            return None
        if seen.fact.session == session.session_id and seen.rating.rater == "client" and stood and stood.track:
            config, total = series_config(engine, seen.rating.instrument), total_of(seen)
            if isinstance(config, SeriesConfig) and config.off_track is not None and total is not None:
                return off_track.again(config.off_track, stood.track, upwards(config.instrument, total)).below_sds
    return None
