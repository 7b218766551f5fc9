"""The pure fold of one episode: its facts, in whatever order they came, to what is said about it.

A rating's reading depends on the series' state before it, the rating, and whose alliance it rates. So where a fact
leaves the beginning of an episode's ratings as it was, the fold resumes after that beginning; everything else is made
anew from the facts, which are never let go. The result is the same either way.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter, itemgetter
from typing import Final, Literal

from services.scoring.domain import series
from services.scoring.domain.attendance import Attendance, Silence, appointments, read, silence
from services.scoring.domain.config import ENGINE_VERSION, EngineConfig
from services.scoring.domain.facts import RATINGS, Clock, Fact, current
from services.scoring.domain.series import Observation, Reading

STATE_VERSION: Final = 1
"""Raise it when a stored step can no longer be resumed from; the facts' own shape is the adapter's to migrate."""

_OWNING: Final = ("episode.opened", "episode.transferred")
_CHANGING: Final = (*_OWNING, "episode.closed")


@dataclass(frozen=True, slots=True)
class Step:
    """One rating already folded, and where its series stood after it."""

    fact_id: str
    clinician_id: str | None
    state: series.State | None


@dataclass(frozen=True, slots=True)
class EpisodeState:
    """All facts held, by id, and the steps made from them under one engine."""

    facts: Mapping[str, Fact] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    engine: int = ENGINE_VERSION
    fitted_version: int = 0
    version: int = STATE_VERSION


@dataclass(frozen=True, slots=True)
class Snapshot:
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


@dataclass(frozen=True, slots=True)
class EpisodeResult:
    """What to say now: the snapshot, every reading that is new or changed, and the ratings that no longer count."""

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
    held = {**state.facts, **{fact.fact_id: fact for fact in facts if fact.fact_id not in state.facts}}
    if not held:
        return state, None
    counting = current(held.values())
    observations = _observations(counting.values())
    before = _valid_steps(engine, state)
    shared = _shared(before, observations)
    steps, readings = _fold(engine, _resume(held, before[:shared]), observations[shared:])
    told = _readings_of(engine, held, before, shared)
    after = EpisodeState(held, before[:shared] + steps, ENGINE_VERSION, engine.fitted_version)
    changed = tuple([each for each in readings if told.get(each.rating_id) != each])
    gone = _withdrawn(facts, counting, told)
    return after, EpisodeResult(_snapshot(engine, held, counting, len(observations)), changed, gone, len(held))


def read_episode(engine: EngineConfig, facts: Sequence[Fact]) -> EpisodeResult | None:
    """What is said about an episode, from all its facts at once."""
    return step(engine, start(engine), facts)[1]


# ------------------------------------------------------------------------------------------------ ratings


def _observations(counting: Iterable[Fact]) -> list[Observation]:
    """The ratings that count, in the order of care, each with the clinician whose alliance it rates."""
    facts = list(counting)
    owners = _owners(facts)
    since = [at for at, _, _ in owners]
    rated = [(fact.place, fact, fact.rating) for fact in facts if fact.rating and fact.kind in RATINGS]
    rated.sort(key=itemgetter(0))
    return [
        Observation(fact, rating, fact.clinician_id or _owner_at(owners, bisect_right(since, fact.occurred_at)))
        for _, fact, rating in rated
    ]


def _owners(facts: Iterable[Fact]) -> list[tuple[int, str, str]]:
    """Who had the client from when on, oldest first."""
    return sorted(
        (fact.occurred_at, fact.fact_id, fact.clinician_id)
        for fact in facts
        if fact.kind in _OWNING and fact.clinician_id
    )


def _owner_at(owners: list[tuple[int, str, str]], count: int) -> str | None:
    return owners[count - 1][2] if count else None


def _valid_steps(engine: EngineConfig, state: EpisodeState) -> tuple[Step, ...]:
    made_by = (state.engine, state.fitted_version, state.version)
    return state.steps if made_by == (ENGINE_VERSION, engine.fitted_version, STATE_VERSION) else ()


def _shared(steps: tuple[Step, ...], observations: list[Observation]) -> int:
    """How many of the steps made stand unchanged at the beginning."""
    count = 0
    for made, observation in zip(steps, observations, strict=False):
        if (made.fact_id, made.clinician_id) != (observation.fact.fact_id, observation.clinician_id):
            break
        count += 1
    return count


def _series_of(fact: Fact) -> tuple[str, str]:
    return (fact.rating.instrument, fact.rating.rater) if fact.rating else ("", "")


def _resume(held: Mapping[str, Fact], steps: tuple[Step, ...]) -> dict[tuple[str, str], series.State | None]:
    return {_series_of(held[made.fact_id]): made.state for made in steps}


def _fold(
    engine: EngineConfig,
    states: dict[tuple[str, str], series.State | None],
    observations: Iterable[Observation],
) -> tuple[tuple[Step, ...], list[Reading]]:
    steps, readings = [], []
    for observation in observations:
        key = (observation.rating.instrument, observation.rating.rater)
        states[key], reading = series.step(engine, states.get(key), observation)
        steps.append(Step(observation.fact.fact_id, observation.clinician_id, states[key]))
        readings.append(reading)
    return tuple(steps), readings


def _readings_of(
    engine: EngineConfig, held: Mapping[str, Fact], steps: tuple[Step, ...], shared: int
) -> dict[str, Reading]:
    """What was said before of the ratings after the shared beginning: made again rather than kept."""
    if shared == len(steps):
        return {}
    observations = [
        Observation(fact, fact.rating, made.clinician_id)
        for made in steps[shared:]
        if (fact := held[made.fact_id]).rating
    ]
    _, readings = _fold(engine, _resume(held, steps[:shared]), observations)
    return {reading.rating_id: reading for reading in readings}


def _withdrawn(facts: Sequence[Fact], counting: Mapping[str, Fact], told: Mapping[str, Reading]) -> tuple[str, ...]:
    """Ratings that were told or are retracted by these facts, and do not count now."""
    touched = {fact.record_id for fact in facts if counting[fact.record_id].kind == "rating.retracted"}
    gone = {record for record in told if counting[record].kind not in RATINGS}
    return tuple(sorted(touched | gone))


# ----------------------------------------------------------------------------------------------- snapshot


def _snapshot(engine: EngineConfig, held: Mapping[str, Fact], counting: Mapping[str, Fact], ratings: int) -> Snapshot:
    facts = counting.values()
    changes = [fact for fact in facts if fact.kind in _CHANGING]
    known_at = max(map(attrgetter("recorded_at"), held.values()))
    opened_at, closed_at = _opening(changes)
    seen = read(engine.attendance, appointments(facts), known_at)
    return Snapshot(
        owner_id=_owner(changes) or _named_last(facts),
        status="open" if closed_at is None else "closed",
        opened_at=opened_at,
        closed_at=closed_at,
        attendance=seen,
        silence=silence(engine.attendance, seen) if closed_at is None else None,
        ratings=ratings,
        known_at=known_at,
        clock=_clock(held.values()),
    )


def _owner(changes: Iterable[Fact]) -> str | None:
    """Whoever the episode was opened with or handed to last."""
    owners = _owners(changes)
    return owners[-1][2] if owners else None


def _named_last(facts: Iterable[Fact]) -> str | None:
    """Whom the latest fact that names anybody names: the owner where nobody opened the episode."""
    naming = [fact for fact in facts if fact.clinician_id]
    return max(naming, key=attrgetter("occurred_at", "fact_id")).clinician_id if naming else None


def _opening(changes: Iterable[Fact]) -> tuple[int | None, int | None]:
    """When the episode was first opened, and when it was closed unless it was opened or handed on after that."""
    ordered = sorted((fact.occurred_at, fact.kind == "episode.closed", fact.kind) for fact in changes)
    opened = next((at for at, _, kind in ordered if kind == "episode.opened"), None)
    closed = ordered[-1][0] if ordered and ordered[-1][1] else None
    return opened, closed


def _clock(facts: Iterable[Fact]) -> Clock:
    """`feed` as soon as one fact came with a clock of its own: an episode is judged by one clock."""
    return "feed" if "feed" in map(attrgetter("clock"), facts) else "wall"
