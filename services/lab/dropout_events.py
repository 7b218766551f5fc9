"""Person-periods out of a clinic's recorded events: what was known within a day of each session, and what followed.

How a course ended is what the labels say, else the reason it was closed with; an open course is censored after its last
session but one. Corrections count from when they came: nothing of a session is read that was recorded a day after it.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from schemas.instruments import Instrument, Scored, lookup, score
from services.ingest.envelopes import is_cloud_event, plain
from services.lab.backtest.labels import CourseLabel, Key
from services.lab.backtest.source import Fault, Known, clients, cut
from services.lab.hazard_fit import End, Period
from services.scoring.domain import attendance, hazard, rupture
from services.scoring.domain.config import DEFAULT, EngineConfig, SeriesConfig, series_config, upwards
from services.scoring.domain.course import Course
from services.scoring.domain.facts import DAY, Fact

PART_BYTES: Final = 16_000_000
_MOST_PARTS: Final = 200
_FORTIETHS: Final = 40.0
Labels = Mapping[Key, CourseLabel]
Reasons = Mapping[Key, str]


@dataclass(slots=True)
class Courses:
    """All rows; `refused`: lines that are no event; `open_`: courses of which nobody knows how they end."""

    periods: list[Period] = field(default_factory=list)
    refused: int = 0
    first_fault: Fault | None = None
    open_: int = 0

    def refuse(self, fault: Fault) -> None:
        self.refused += 1
        self.first_fault = self.first_fault or fault


class _Measured(NamedTuple):
    """The alliance measure of a course: the engine's parameters and the hazard's."""

    series: SeriesConfig
    points: hazard.Config


class _Ends(NamedTuple):
    """How one client's courses ended, as far as anybody says."""

    labels: Labels
    reasons: Reasons
    client: str

    def of(self, episode: str | None) -> End | None:
        label = self.labels.get((self.client, episode)) or self.labels.get((self.client, None))
        if label is not None and label.dropped_out is not None:
            return "dropped-out" if label.dropped_out else "other-end"
        reason = self.reasons.get((self.client, episode))
        if reason is None:
            return None
        return "dropped-out" if reason == "dropped-out" else "other-end"


def courses(
    events: Path, labels: Labels, engine: EngineConfig = DEFAULT, told: Callable[[int], None] = lambda _: None
) -> Courses:
    """Every course in a file of any size; `told` hears bytes, of the whole file twice.

    Raises:
        UnreadableFile: no such file, or one that cannot be read to its end.
    """
    found = Courses()
    size = events.stat().st_size if events.is_file() else 0
    with tempfile.TemporaryDirectory(prefix="attune-dropout-") as folder:
        for part in cut(events, Path(folder), min(_MOST_PARTS, 1 + size // PART_BYTES), told):
            reasons = _reasons(part)
            for known in clients(part):
                if isinstance(known, Fault):
                    found.refuse(known)
                else:
                    _client(found, known, _Ends(labels, reasons, known.client), engine)
            told(part.stat().st_size)
    return found


def _client(found: Courses, known: Known, ends: _Ends, engine: EngineConfig) -> None:
    by_episode: defaultdict[str, list[Fact]] = defaultdict(list)
    for episode, fact in known.facts:
        by_episode[episode].append(fact)
    for episode, facts in by_episode.items():
        end = ends.of(known.names.get(episode))
        found.open_ += end is None
        found.periods += periods(f"{known.client}/{episode}", facts, end, engine)


def _reasons(part: Path) -> Reasons:
    """Why each episode was closed: the last word in the file. Faulty lines are told of elsewhere."""
    found: dict[Key, str] = {}
    with part.open("rb") as lines:
        for line in lines:
            text = line.partition(b" ")[2]
            if b"episode." in text and (told := _word(text)) is not None:
                found.update(told)
    return {key: reason for key, reason in found.items() if reason}


def _word(text: bytes) -> dict[Key, str] | None:
    """A closing's reason; an episode that is opened again is open."""
    try:
        event = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(event, dict):
        return None
    body = plain(event) if is_cloud_event(event) else event
    if not isinstance(body, dict) or body.get("type") not in {"episode.closed", "episode.opened"}:
        return None
    client, episode = body.get("client") or body.get("client_id"), body.get("episode") or body.get("episode_id")
    reason = str(body.get("reason") or "other") if body["type"] == "episode.closed" else ""
    return {(str(client), None if episode is None else str(episode)): reason}


# ------------------------------------------------------------------ one course


def periods(person: str, facts: Sequence[Fact], end: End | None, engine: EngineConfig = DEFAULT) -> Iterator[Period]:
    """The rows of one course; of an open one, all sessions but the last."""
    whole = Course.of(_counting(facts))
    attended = list(whole.diary.times["attended"])
    measured = _measured(whole, engine)
    if measured is None:
        return
    state, evidence = hazard.start(measured.points), rupture.start(measured.series.rupture)
    for number, at in enumerate(attended):
        last = number == len(attended) - 1
        seen = Course.of(_counting([fact for fact in facts if fact.recorded_at <= at + DAY]))
        total = _total(seen, measured.series.instrument, at)
        change = None
        if total is not None:
            evidence, weighed = rupture.step(measured.series.rupture, evidence, total)
            change = weighed.probability if weighed else None
        gap = (at - attended[number - 1]) / DAY if number else None
        state, features = hazard.step(measured.points, state, _ended(engine, seen, (at, total, change, gap)))
        if end is not None or not last:
            follows: End = end if end is not None and last else "none"
            yield Period(person, features, follows, seen.owner, measured.series.instrument.key)


def _counting(facts: Sequence[Fact]) -> list[Fact]:
    dropped = {fact.drops for fact in facts if fact.drops}
    return [fact for fact in facts if fact.fact_id not in dropped]


def _ended(
    engine: EngineConfig, seen: Course, session: tuple[int, float | None, float | None, float | None]
) -> hazard.Ended:
    """Where a clinic tells of no bookings, that none is known says nothing."""
    at, total, change, gap = session
    came = attendance.read(engine.attendance, seen.diary, at)
    books = any(fact.kind == "session.booked" for fact in seen.counting.values())
    return hazard.Ended(
        score=total,
        change=change,
        gap_days=gap,
        missed_of_last_three=came.missed_of_last_three,
        next_booked=came.next_booking_at is not None if books else None,
    )


def _measured(course: Course, engine: EngineConfig) -> _Measured | None:
    """The first alliance measure that the client filled in; a course without one is not this model's."""
    for seen in course.observations:
        instrument = lookup(seen.rating.instrument)
        if isinstance(instrument, Instrument) and instrument.family == "alliance" and seen.rating.rater == "client":
            config = series_config(engine, instrument.key)
            if isinstance(config, SeriesConfig):
                unit = instrument.total.span / _FORTIETHS
                return _Measured(config, hazard.Config(config.rupture.mu0, unit))
    return None


def _total(course: Course, instrument: Instrument, at: int) -> float | None:
    """What the client gave on that day with this measure, upwards."""
    for seen in course.observations:
        apart = abs(seen.fact.occurred_at - at)
        if seen.rating.instrument == instrument.key and seen.rating.rater == "client" and apart < DAY:
            scored = score(instrument, seen.rating.items, seen.rating.total)
            if isinstance(scored, Scored) and scored.total is not None:
                return upwards(instrument, scored.total)
    return None
