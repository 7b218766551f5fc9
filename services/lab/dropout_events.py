"""Person-periods out of a clinic's recorded events: what was known within a day of each session, and what followed.

How a course ended is what the labels say, else the reason it was closed with; an open course is censored after its last
session but one. Corrections count from when they came: nothing of a session is read that was recorded a day after it.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from services.ingest.envelopes import is_cloud_event, plain
from services.lab.backtest.labels import CourseLabel, Key
from services.lab.backtest.source import Fault, Known, clients, cut
from services.lab.hazard_fit import End, Period
from services.scoring.domain import episode, leaving
from services.scoring.domain.attendance import Appointment
from services.scoring.domain.config import DEFAULT, EngineConfig
from services.scoring.domain.episode import EpisodeState
from services.scoring.domain.facts import DAY, Fact
from services.scoring.domain.hazard import FIRST_SESSIONS, Cause, Gate, HazardModel

PART_BYTES: Final = 16_000_000
_MOST_PARTS: Final = 200
_FLAT: Final = Cause((0.0,) * FIRST_SESSIONS, 0.0, 0.0, ())
_SILENT: Final = HazardModel((), (), (), _FLAT, _FLAT, Gate(0, 0.0, 0.0))
"""Makes the engine follow what a hazard is made from, and says nothing."""
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
    for where, fact in known.facts:
        by_episode[where].append(fact)
    for where, facts in by_episode.items():
        end = ends.of(known.names.get(where))
        found.open_ += end is None
        found.periods += periods(f"{known.client}/{where}", facts, end, engine)


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
    """The rows of one course; of an open one, all sessions but the last. What the services would have been told."""
    following = engine if engine.hazard else replace(engine, hazard=_SILENT)
    whole = _folded(following, facts)
    form = leaving.measured(following, whole.course)
    came = [each for each in whole.course.diary.appointments if each.outcome == "attended"]
    for number, session in enumerate(came, start=1):
        seen = _as_known(following, whole, facts, session)
        found = leaving.features(following, seen.course, [step.state for step in seen.steps], session)
        last = number == len(came)
        if found is not None and (end is not None or not last):
            follows: End = end if end is not None and last else "none"
            yield Period(person, found, follows, seen.course.owner, form.instrument.key if form else None)


def _folded(engine: EngineConfig, facts: Sequence[Fact]) -> EpisodeState:
    return episode.step(engine, episode.start(engine), facts)[0]


def _as_known(engine: EngineConfig, whole: EpisodeState, facts: Sequence[Fact], session: Appointment) -> EpisodeState:
    """The course by a day after the session, or by when it was first heard of; folded again only if more came late."""
    told = [leaving.known_at(fact) for fact in whole.course.diary.told[session.session_id]]
    until = max(session.starts_at + DAY, min(told))
    late = any(fact.occurred_at <= until < leaving.known_at(fact) for fact in facts)
    return _folded(engine, [fact for fact in facts if leaving.known_at(fact) <= until]) if late else whole
