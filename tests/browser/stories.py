"""A small clinic with courses of care as they happen: what scoring and policy would have said of them, as fixed data.

The numbers follow a plain running mean, not the engine: these tests are about pages, not about scores.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID, uuid5

from schemas.events import (
    Appointment,
    Attendance,
    Band,
    DropoutForecast,
    EpisodeSnapshot,
    Expectation,
    Reading,
    Revision,
)
from schemas.instruments import Instrument, UnknownInstrument, index, lookup

NOW = datetime(2026, 3, 20, 9, 0, tzinfo=UTC)
_NAMES = UUID("6f9a2c1e-7a55-4f7e-9a3b-0d5c1c7a9b10")


def named(text: str) -> UUID:
    """The same id for the same words, so that a failing test can be read."""
    return uuid5(_NAMES, text)


@dataclass(frozen=True, slots=True)
class Story:
    """One client's course of care; `ratings` is oldest first, `None` a session without a rating."""

    reference: str
    clinician: str
    ratings: tuple[float | None, ...]
    missed: tuple[int, ...] = ()
    """Sessions, by place, that were missed."""
    instrument: str = "srs@3"
    outcome: tuple[float, ...] = ()
    """ORS totals of the same sessions."""
    every_days: int = 7
    last_days_ago: int = 3
    booked_in_days: int | None = 5
    status: Literal["open", "closed"] = "open"
    quality: dict[int, str] = field(default_factory=dict)
    leaving: float | None = None
    """Within three sessions, as a clinic's own hazard has it."""
    tenant: str = "northside"

    @property
    def client_id(self) -> UUID:
        return named(f"{self.tenant}/client/{self.reference}")

    @property
    def episode_id(self) -> UUID:
        return named(f"{self.tenant}/episode/{self.reference}")

    @property
    def tenant_id(self) -> UUID:
        return named(self.tenant)

    @property
    def clinician_id(self) -> UUID:
        return named(f"{self.tenant}/clinician/{self.clinician}")

    def at(self, place: int) -> datetime:
        return NOW - timedelta(days=self.last_days_ago + self.every_days * (len(self.ratings) - 1 - place), hours=-1)

    def rating_id(self, place: int, instrument: str | None = None) -> UUID:
        return named(f"{self.tenant}/{self.reference}/{instrument or self.instrument}/{place}")

    def session_id(self, place: int) -> UUID:
        return named(f"{self.tenant}/{self.reference}/session/{place}")


def snapshot(story: Story) -> EpisodeSnapshot:
    places = range(len(story.ratings))
    attended = [place for place in places if place not in story.missed]
    booked = NOW + timedelta(days=story.booked_in_days) if story.booked_in_days is not None else None
    visits = [_visit(story, place, "missed" if place in story.missed else "attended") for place in places]
    if booked:
        visits.append(Appointment(session_id=story.session_id(len(places)), starts_at=booked, outcome="booked"))
    return EpisodeSnapshot(
        tenant_id=story.tenant_id,
        client_id=story.client_id,
        episode_id=story.episode_id,
        revision=Revision(engine=1, facts=len(places)),
        causes=(named(f"{story.reference}/cause"),),
        known_at=NOW,
        clock="feed",
        owner_id=story.clinician_id,
        status=story.status,
        opened_at=story.at(0),
        closed_at=story.at(len(places) - 1) if story.status == "closed" else None,
        attendance=Attendance(
            attended=len(attended),
            missed=len(story.missed),
            cancelled=0,
            missed_of_last_three=len([place for place in story.missed if place >= len(places) - 3]),
            missed_before_third=any(place < 2 for place in story.missed),
            last_attended_at=story.at(attended[-1]) if attended else None,
            median_gap_days=float(story.every_days) if len(attended) > 1 else None,
            next_booking_at=booked,
            recent=tuple(visits[-24:]),
        ),
        ratings=len(attended),
        historical=False,
        dropout=_forecast(story, attended) if story.leaving is not None else None,
    )


def _forecast(story: Story, attended: list[int]) -> DropoutForecast:
    return DropoutForecast(
        session_id=story.session_id(attended[-1]),
        session_number=len(attended),
        at=story.at(attended[-1]),
        next=(story.leaving or 0.0) / 3,
        within_three=story.leaving or 0.0,
        line=0.25,
        since=story.session_id(attended[-2]),
        otherwise=0.14,
        contributions={"session": -3.1, "fall": 0.6, "strain": 0.4},
        reason="a rating below this client's usual and earlier signs of a strain",
    )


def readings(story: Story) -> list[Reading]:
    scores = [None if place in story.missed else value for place, value in enumerate(story.ratings)]
    own = list(_readings(story, story.instrument, scores))
    return own + (list(_readings(story, "ors@1", list(story.outcome))) if story.outcome else [])


def _visit(story: Story, place: int, outcome: Literal["attended", "missed"]) -> Appointment:
    return Appointment(session_id=story.session_id(place), starts_at=story.at(place), outcome=outcome)


def _readings(story: Story, key: str, scores: list[float | None]) -> Iterator[Reading]:
    instrument = lookup(key)
    assert not isinstance(instrument, UnknownInstrument)
    level, spread, number = instrument.prior.mu0, instrument.prior.sb, 0
    for place, total in enumerate(scores):
        if total is None:
            continue
        number += 1
        expected = _expected(instrument, level, spread)
        surprised = number > 1 and total < expected.quantiles["0.02"]
        if not surprised:
            level += (total - level) / (number + 0.6)
            spread = max(0.5, instrument.prior.sw / (number + 0.4) ** 0.5)
        yield _reading(story, instrument, (place, number, total), _band(instrument, level, spread), expected)


def _expected(instrument: Instrument, level: float, spread: float) -> Expectation:
    wide = (spread**2 + instrument.prior.sw**2) ** 0.5
    at = {"0.02": -2.05, "0.1": -1.28, "0.25": -0.67, "0.5": 0.0, "0.75": 0.67, "0.9": 1.28}
    return Expectation(mean=level, quantiles={name: _within(instrument, level + z * wide) for name, z in at.items()})


def _band(instrument: Instrument, level: float, spread: float) -> Band:
    return Band(
        level=_within(instrument, level),
        low=_within(instrument, level - 1.28 * spread),
        high=_within(instrument, level + 1.28 * spread),
    )


def _within(instrument: Instrument, value: float) -> float:
    return round(min(max(value, instrument.total.low), instrument.total.high), 2)


def _reading(
    story: Story, instrument: Instrument, rated: tuple[int, int, float], score: Band, expected: Expectation
) -> Reading:
    place, number, total = rated
    return Reading(
        tenant_id=story.tenant_id,
        client_id=story.client_id,
        episode_id=story.episode_id,
        revision=Revision(engine=1, facts=len(story.ratings)),
        causes=(named(f"{story.reference}/cause"),),
        known_at=NOW,
        clock="feed",
        rating_id=story.rating_id(place, instrument.key),
        session_id=story.session_id(place),
        session_number=number,
        clinician_id=story.clinician_id,
        instrument=instrument.key,
        rater="client",
        occurred_at=story.at(place),
        recorded_at=story.at(place),
        historical=False,
        total=total,
        index=index(instrument, total),
        score=score,
        score_index=Band(
            level=index(instrument, score.level),
            low=index(instrument, score.low),
            high=index(instrument, score.high),
        ),
        expected=expected,
        quality=(story.quality[place],) if place in story.quality else (),
    )


def wandering(seed: int, sessions: int, around: float, spread: float) -> tuple[float, ...]:
    """Ratings that wander about a level as a steady course does."""
    dice = random.Random(seed)
    return tuple(round(min(40.0, max(8.0, dice.gauss(around, spread))), 1) for _ in range(sessions))


RUPTURE = Story(
    "NS-1042",
    "Dr. Okafor",
    (38.2, 37.4, 38.9, 38.0, 39.1, 37.8, 38.4, 38.8, 30.6, 33.1),
    missed=(5,),
    outcome=(17.2, 18.4, 18.9, 21.0, 22.2, 22.0, 23.8, 24.5, 22.9, 23.4),
)
RISK = Story("NS-0977", "Dr. Okafor", wandering(3, 7, 36.0, 1.6), instrument="srs@3", booked_in_days=2)
DRIFT = Story(
    "NS-1108",
    "Dr. Okafor",
    (37.8, 37.5, 37.0, 36.2, 35.9, 35.0, 34.6, 33.8, 33.9, 32.7),
    booked_in_days=6,
    leaving=0.31,
)
AWAY = Story("NS-0871", "Dr. Okafor", wandering(8, 12, 35.0, 1.8), last_days_ago=34, booked_in_days=None)
CEILING = Story(
    "NS-1203",
    "Dr. Okafor",
    (40.0, 40.0, 40.0, 40.0),
    quality={3: "all four lines at the very top, as in every session"},
)
QUIET = tuple(
    Story(f"NS-1{300 + seed}", "Dr. Okafor", wandering(seed, 4 + seed, 36.5, 1.5), last_days_ago=1 + seed, every_days=7)
    for seed in range(6)
)
NEW = Story("NS-1410", "Dr. Okafor", (None,), last_days_ago=1)
ENDED = Story(
    "NS-0655", "Dr. Okafor", wandering(21, 14, 37.0, 1.2), last_days_ago=60, booked_in_days=None, status="closed"
)
COLLEAGUES = Story("NS-2001", "Ms. Lindqvist", (37.0, 36.2, 37.7, 29.0))
MARKUP = Story("<script>alert(1)</script>", "Ms. Lindqvist", wandering(30, 5, 35.5, 1.4))
ELSEWHERE = Story("NS-1042", "Dr. Marsh", (36.0, 36.4), tenant="southgate")
NORTHSIDE = (RUPTURE, RISK, DRIFT, AWAY, CEILING, *QUIET, NEW, ENDED, COLLEAGUES, MARKUP)
EVERYONE = (*NORTHSIDE, ELSEWHERE)
