"""What an EHR posts about one episode: plain JSON objects in the shape of `schemas.posted`, with their times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
from numpy.random import Generator

from schemas.instruments.model import Rater
from services.lab.answers import THERAPIST_FORM, Answers, answers, instrument, lines, on_scale
from services.lab.visits import Care, Visit, visits

LATE_SHARE: Final = 0.02
AMENDED_SHARE: Final = 0.015
RETRACTED_SHARE: Final = 0.005
UNRATED_SHARE: Final = 0.10
UNRATED_PER_POINT: Final = 0.1
"""Logits per point below the client's own mean: completing less is a sign of its own."""
THERAPIST_SHARE: Final = 0.03
EXTRA_EVERY: Final = 4
SESSION: Final = timedelta(minutes=50)
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Recorded:
    """One event and the moment at which the EHR knew it."""

    at: datetime
    event: Event


@dataclass(slots=True)
class Scribe:
    """Writes one episode's records. Its generator is the only source of chance."""

    rng: Generator
    care: Care

    def write(self) -> Iterator[Recorded]:
        planned = visits(self.rng, self.care)
        opened = self.care.opened_at
        yield Recorded(opened, self._event("episode.opened", self.care.episode, opened, clinician=self.care.clinician))
        yield from self._transfer(planned)
        booked_at = opened + HOUR
        for visit in planned:
            yield from self._appointment(visit, booked_at)
            booked_at = visit.starts_at + SESSION
        yield self._close(planned[-1].starts_at + SESSION)

    def _transfer(self, planned: list[Visit]) -> Iterator[Recorded]:
        if self.care.successor:
            at = planned[len(planned) // 2].starts_at - DAY
            record = f"{self.care.episode}-transfer"
            yield Recorded(at, self._event("episode.transferred", record, at, clinician=self.care.successor))

    def _close(self, after: datetime) -> Recorded:
        """A planned end is written at once; that somebody will not come back is admitted weeks later."""
        left = self.care.course.dropped_out
        at = after + (DAY * int(self.rng.integers(35, 61)) if left else HOUR)
        reason = "dropped-out" if left else "completed"
        return Recorded(at, self._event("episode.closed", f"{self.care.episode}-end", at, reason=reason))

    def _appointment(self, visit: Visit, booked_at: datetime) -> Iterator[Recorded]:
        session = f"{self.care.episode}-{visit.number + 1:02d}"
        starts: Event = {"session": session, "starts_at": visit.starts_at.isoformat()}
        yield Recorded(booked_at, self._event("session.booked", f"{session}-booked", booked_at, **starts))
        if visit.outcome == "cancelled":
            at = max(booked_at, visit.starts_at - HOUR * int(self.rng.integers(4, 72)))
            told = {**starts, "cancelled_by": "client" if self.rng.random() < 0.8 else "clinic"}
        else:
            at, told = visit.starts_at, starts
        yield Recorded(at + SESSION, self._event(f"session.{visit.outcome}", f"{session}-outcome", at, **told))
        if visit.session is not None:
            yield from self._ratings(session, visit.session, visit.starts_at)

    def _ratings(self, session: str, number: int, starts_at: datetime) -> Iterator[Recorded]:
        package, at = self.care.package, starts_at + SESSION
        wellbeing = (self._wellbeing(number),)
        if not self._left_out(number):
            yield from self._rating(session, package.alliance, at, self._alliance(number))
        if self.rng.random() >= UNRATED_SHARE:
            yield from self._rating(session, package.outcome, starts_at, self._filled(package.outcome, wellbeing))
        if package.extra and number % EXTRA_EVERY == 0:
            yield from self._rating(session, package.extra, starts_at, self._filled(package.extra, wellbeing))
        if self.rng.random() < THERAPIST_SHARE:
            yield from self._rating(session, THERAPIST_FORM, at, self._filled(THERAPIST_FORM, self._bond(number)))

    def _rating(self, session: str, key: str, at: datetime, given: Answers) -> Iterator[Recorded]:
        record = f"{session}-{key.partition('@')[0]}"
        rater: Rater = "therapist" if key == THERAPIST_FORM else "client"
        rating: Event = {"instrument": key, "rater": rater, "items": given}
        known = at + (DAY * int(self.rng.integers(1, 11)) if self.rng.random() < LATE_SHARE else SESSION)
        same: Event = {"session": session}
        yield Recorded(known, self._event("rating.submitted", record, at, rating=rating, **same))
        correction, later = self.rng.random(), known + DAY * int(self.rng.integers(1, 6))
        if correction < AMENDED_SHARE:
            corrected = {**rating, "items": self._corrected(key, given)}
            yield Recorded(later, self._event("rating.amended", record, at, version=2, rating=corrected, **same))
        elif correction < AMENDED_SHARE + RETRACTED_SHARE:
            yield Recorded(later, self._event("rating.retracted", record, at, version=2, **same))

    def _corrected(self, key: str, given: Answers) -> Answers:
        """One answer read again, a step or so beside the first reading. A risk answer is left alone."""
        measure = instrument(key)
        item = next(item for item in measure.items if not item.risk)
        value = given[item.code]
        share = 0.8 if value is None else (value - item.scale.low) / item.scale.span
        return {**given, item.code: on_scale(item, share - 0.1 if share > 0.5 else share + 0.1)}

    def _left_out(self, number: int) -> bool:
        """Nobody rated: by chance, and likelier the further below their own mean they would have rated."""
        totals = self.care.course.totals
        below = max(0.0, float(np.mean(totals)) - totals[number])
        odds = UNRATED_SHARE / (1 - UNRATED_SHARE) * float(np.exp(UNRATED_PER_POINT * below))
        return bool(self.rng.random() < odds / (1 + odds))

    def _alliance(self, number: int) -> Answers:
        measure = instrument(self.care.package.alliance)
        if measure.key == "srs@3":
            return lines(self.care.course.items[number], measure)
        return answers(self.rng, measure, self._bond(number))

    def _bond(self, number: int) -> tuple[float, ...]:
        return tuple(value / 10 for value in self.care.course.items[number])

    def _filled(self, key: str, wellbeing: tuple[float, ...]) -> Answers:
        return answers(self.rng, instrument(key), wellbeing)

    def _wellbeing(self, number: int) -> float:
        """The expected course from intake (domain brief 3.1), with noise of 4 points, as a share of 40."""
        goal = 27 + 0.45 * (self.care.intake - 19)
        expected = self.care.intake + (goal - self.care.intake) * np.log(min(number + 1, 10)) / np.log(10)
        return float(np.clip((expected + 4 * self.rng.standard_normal()) / 40, 0, 1))

    def _event(self, kind: str, record: str, at: datetime, **told: Any) -> Event:  # noqa: ANN401 - JSON
        care = self.care
        common = {"id": record, "type": kind, "client": care.client, "episode": care.episode}
        return {**common, "occurred_at": at.isoformat(), **told}
