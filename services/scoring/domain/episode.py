"""The pure fold of one episode: its facts, in whatever order they came, to what is said about it.

A rating's reading depends on the series' state before it, the rating, and whose alliance it rates. So where a fact
leaves the beginning of an episode's ratings as it was, the fold resumes after that beginning; everything else is made
anew from the facts, which are never let go. The result is the same either way.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from services.scoring.domain import leaving, series, views
from services.scoring.domain.attendance import Attendance, Silence, read, silence
from services.scoring.domain.config import ENGINE_VERSION, EngineConfig
from services.scoring.domain.course import Course, Observation, decides_identity
from services.scoring.domain.facts import IDENTITY, RATINGS, Clock, Fact
from services.scoring.domain.series import Reading

STATE_VERSION: Final = 1
"""Raise it when a stored step can no longer be resumed from; the facts' own shape is the adapter's to migrate."""


class Step(NamedTuple):
    """One rating already folded, and where its series stood after it."""

    fact_id: str
    clinician_id: str | None
    state: series.State | None


@dataclass(frozen=True, slots=True)
class EpisodeState:
    """All facts held, by id, the steps made from them under one engine, and their course (never stored)."""

    facts: Mapping[str, Fact] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    course: Course = field(default_factory=Course, compare=False, repr=False)
    engine: int = ENGINE_VERSION
    fitted_version: int = 0
    version: int = STATE_VERSION


class Snapshot(NamedTuple):
    """What is known of the episode as a whole. `known_at` is the latest `recorded_at` among its facts."""

    owner_id: str | None
    status: Literal["open", "closed"]
    opened_at: int | None
    closed_at: int | None
    attendance: Attendance
    silence: Silence | None
    ratings: int
    known_at: int
    clock: Clock
    forecast: leaving.Forecast | None = None
    merged_into: str | None = None


class EpisodeResult(NamedTuple):
    """What to say now: the snapshot, every reading that is new or changed, and the ratings that no longer count.

    `facts_held` counts dropped ones too: it says how much is known, and never falls.
    """

    snapshot: Snapshot
    readings: tuple[Reading, ...]
    withdrawn: tuple[str, ...]
    facts_held: int


def start(engine: EngineConfig) -> EpisodeState:
    return EpisodeState(fitted_version=engine.fitted_version)


def step(engine: EngineConfig, state: EpisodeState, facts: Sequence[Fact]) -> tuple[EpisodeState, EpisodeResult | None]:
    """Take in facts, known ones and repeats included; `None` as long as the episode holds no fact at all.

    The readings and withdrawals of all steps, the later ones winning, are those of `read_episode` on the same facts.
    """
    state, removed = _without_dropped(state, facts)
    dropped = state.course.dropped.union([fact.drops for fact in facts if fact.drops])
    new = {fact.fact_id: fact for fact in facts if fact.fact_id not in state.facts and fact.fact_id not in dropped}
    held = {**state.facts, **new}
    if not held:
        return state, None
    course, shared = _taken(state, list(new.values()))
    before = _valid_steps(engine, state)
    shared = min(shared, len(before))
    steps, readings = _fold(engine, before[:shared], course.observations, shared)
    told = _readings_of(engine, state, before, shared)
    after = EpisodeState(held, before[:shared] + steps, course, ENGINE_VERSION, engine.fitted_version)
    changed = tuple([each for each in readings if told.get(each.rating_id) != each])
    about = held.values() if any(fact.kind in IDENTITY for fact in facts) else facts
    gone = _withdrawn([*about, *removed], course, told)
    return after, EpisodeResult(_snapshot(engine, after), changed, gone, len(held) + len(course.dropped))


def restored(facts: Mapping[str, Fact], steps: tuple[Step, ...], made_by: tuple[int, int, int]) -> EpisodeState:
    """The state that was stored: its course is read off its facts again."""
    return EpisodeState(facts, steps, Course.of(facts.values()), *made_by)


def read_episode(engine: EngineConfig, facts: Sequence[Fact]) -> EpisodeResult | None:
    """What is said about an episode, from all its facts at once."""
    return step(engine, start(engine), facts)[1]


# ------------------------------------------------------------------------------------------------ ratings


def _without_dropped(state: EpisodeState, facts: Sequence[Fact]) -> tuple[EpisodeState, list[Fact]]:
    """The state as if facts that are dropped now had never been taken in, and those facts. Rare, so made anew."""
    removed = [state.facts[fact.drops] for fact in facts if fact.drops and fact.drops in state.facts]
    if not removed:
        return state, []
    gone = {fact.fact_id for fact in removed}
    kept = {fact_id: fact for fact_id, fact in state.facts.items() if fact_id not in gone}
    return restored(kept, (), (0, 0, 0)), removed


def _taken(state: EpisodeState, new: Collection[Fact]) -> tuple[Course, int]:
    """The course with new facts, and how many of its ratings stand at its beginning as they stood before."""
    if decides_identity(state.course, new):
        return Course.of([*state.facts.values(), *new]), 0
    course, shared = state.course.copy(), len(state.course.observations)
    for fact in new:
        shared = min(shared, course.take(fact))
    return course, shared


def _valid_steps(engine: EngineConfig, state: EpisodeState) -> tuple[Step, ...]:
    made_by = (state.engine, state.fitted_version, state.version)
    return state.steps if made_by == (ENGINE_VERSION, engine.fitted_version, STATE_VERSION) else ()


def _fold(
    engine: EngineConfig, before: tuple[Step, ...], observations: Sequence[Observation], shared: int
) -> tuple[tuple[Step, ...], list[Reading]]:
    """Resume after the shared beginning: the steps and readings of the ratings after it."""
    states: dict[tuple[str, str], series.State | None] = {}
    steps, readings = [], []
    for place, observation in enumerate(observations[shared:], shared):
        key = (observation.rating.instrument, observation.rating.rater)
        if key not in states:
            states[key] = _last_of(key, before, observations, shared)
        states[key], reading = series.step(engine, states[key], observation)
        steps.append(Step(observation.fact.fact_id, observation.clinician_id, states[key]))
        readings.append(views.compared(engine, observations, place, reading))
    return tuple(steps), readings


def _last_of(
    key: tuple[str, str], steps: tuple[Step, ...], observations: Sequence[Observation], shared: int
) -> series.State | None:
    """Where a series stood after the shared beginning."""
    for place in reversed(range(shared)):
        rating = observations[place].rating
        if (rating.instrument, rating.rater) == key:
            return steps[place].state
    return None


def _readings_of(engine: EngineConfig, state: EpisodeState, steps: tuple[Step, ...], shared: int) -> dict[str, Reading]:
    """What was said before of the ratings after the shared beginning: made again rather than kept."""
    if shared >= len(steps):
        return {}
    _, readings = _fold(engine, steps[:shared], state.course.observations, shared)
    return {reading.rating_id: reading for reading in readings}


def _withdrawn(facts: Sequence[Fact], course: Course, told: Mapping[str, Reading]) -> tuple[str, ...]:
    """Ratings that were told or are retracted by these facts, and do not count now."""
    counting = course.counting
    retracted = {each.record_id for each in facts if _kind(counting, each.record_id) == "rating.retracted"}
    rated = {each.record_id for each in facts if each.kind in RATINGS} | told.keys()
    return tuple(sorted(retracted | {record for record in rated if _kind(counting, record) not in RATINGS}))


def _kind(counting: Mapping[str, Fact], record: str) -> str | None:
    return counting[record].kind if record in counting else None


# ----------------------------------------------------------------------------------------------- snapshot


def _snapshot(engine: EngineConfig, state: EpisodeState) -> Snapshot:
    course = state.course
    opened_at, closed_at = course.opening
    seen = read(engine.attendance, course.diary, course.known_at)
    return Snapshot(
        owner_id=course.owner,
        status="open" if closed_at is None else "closed",
        opened_at=opened_at,
        closed_at=closed_at,
        attendance=seen,
        silence=silence(engine.attendance, course.diary, seen) if closed_at is None else None,
        ratings=len(course.observations),
        known_at=course.known_at,
        clock=course.clock,
        forecast=leaving.forecast(engine, course, [each.state for each in state.steps]) if engine.hazard else None,
        merged_into=course.merged_into,
    )
