"""The ratings of one instrument by one rater, in the order of care. A new clinician restarts the baselines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from schemas.instruments import Rater, Scored, UnknownInstrument, index, score
from services.scoring.domain import drift, drop, hazard, level, off_track, quality, repair, rolling, rupture, sequences
from services.scoring.domain.config import EngineConfig, SeriesConfig, series_config, upwards
from services.scoring.domain.course import Observation
from services.scoring.domain.signals import DETECTORS, OUTCOME_DETECTORS, Seen, Signal, published

STATE_VERSION = 3
_DROP = drop.Config()


@dataclass(frozen=True, slots=True)
class Band:
    """An estimate with its 80 % interval."""

    level: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Expectation:
    """What was expected; `quantiles` by probability as text: `"0.02"`."""

    mean: float
    quantiles: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Strain:
    """What has become of a strain since the engine saw it: the phase, what it came through at this session, and why.

    `lenient` and `strict`: the phase of a fall and its recovery by the published criteria (1 and 2 SD).
    """

    phase: repair.Phase
    steps: tuple[str, ...]
    before: float | None
    target: float | None
    sessions: int
    lenient: sequences.Phase
    strict: sequences.Phase


@dataclass(frozen=True, slots=True)
class Reading:
    """What is said about one rating, on the instrument's own scale unless named otherwise."""

    fact_id: str
    rating_id: str
    session_id: str | None
    session_number: int
    clinician_id: str | None
    instrument: str
    rater: Rater
    occurred_at: int
    recorded_at: int
    historical: bool
    total: float | None = None
    why_no_total: str | None = None
    facets: Mapping[str, float | None] = field(default_factory=dict)
    index: float | None = None
    score: Band | None = None
    score_index: Band | None = None
    expected: Expectation | None = None
    tail_probability: float | None = None
    signals: tuple[Signal, ...] = ()
    quality: tuple[str, ...] = ()
    strain: Strain | None = None


class Allied(NamedTuple):
    """What is followed of alliance measures only; `leaving` where the clinic has a hazard of dropout."""

    rupture: rupture.State
    repair: repair.State
    sequences: sequences.State
    quality: quality.State
    leaving: hazard.State | None = None


class State(NamedTuple):
    """Where a series stands. `ratings` counts all of them, with and without a total, over all clinicians.

    `track`: of outcomes, which are held against the client's own beginning, whoever the clinician is.
    """

    ratings: int
    clinician_id: str | None
    rolling: rolling.State
    drop: drop.State
    drift: drift.State
    allied: Allied | None = None
    version: int = STATE_VERSION
    track: off_track.State | None = None


def start(engine: EngineConfig, instrument_key: str) -> State | UnknownInstrument:
    config = series_config(engine, instrument_key)
    return config if isinstance(config, UnknownInstrument) else _fresh(config, 0, None)


def step(engine: EngineConfig, state: State | None, observation: Observation) -> tuple[State | None, Reading]:
    """Take in one rating. One that cannot be scored still counts as a rating, and its reading says why."""
    config = series_config(engine, observation.rating.instrument)
    if isinstance(config, UnknownInstrument):
        return state, _unscored(observation, 1, f"unknown instrument, expected {config.expected}")
    before = _stretch(config, state or _fresh(config, 0, None), observation.clinician_id)
    scored = score(config.instrument, observation.rating.items, observation.rating.total)
    if isinstance(scored, tuple):
        why = "; ".join(f"{fault.item or 'total'}: {fault.code}" for fault in scored)
        return _counted(before), _unscored(observation, before.ratings + 1, why)
    if scored.total is None:
        return _counted(before), _partial(config, observation, before, scored)
    return _full(config, before, observation, scored, scored.total)


def _fresh(config: SeriesConfig, ratings: int, clinician_id: str | None) -> State:
    return State(
        ratings,
        clinician_id,
        rolling.start(config.rolling),
        drop.start(_DROP),
        drift.start(config.drift),
        _allies(config) if config.instrument.family == "alliance" else None,
        track=off_track.start(config.off_track) if config.off_track else None,
    )


def _allies(config: SeriesConfig) -> Allied:
    return Allied(
        rupture.start(config.rupture),
        repair.start(config.repair),
        sequences.start(config.sequences),
        quality.start(config.quality),
        hazard.start(config.leaving) if config.leaving else None,
    )


def _stretch(config: SeriesConfig, state: State, clinician_id: str | None) -> State:
    """The state to go on from: a new one where the clinician is known to be another."""
    if clinician_id is None or clinician_id == state.clinician_id:
        return state
    if state.clinician_id is None:
        return state._replace(clinician_id=clinician_id)
    return _fresh(config, state.ratings, clinician_id)._replace(track=state.track)


def _counted(state: State) -> State:
    return state._replace(ratings=state.ratings + 1)


def _full(
    config: SeriesConfig, before: State, observation: Observation, scored: Scored, total: float
) -> tuple[State, Reading]:
    up = upwards(config.instrument, total)
    rolling_state, rolled = rolling.step(config.rolling, before.rolling, up)
    drop_state, fallen = drop.step(_DROP, before.drop, up)
    drift_state, drifted = drift.step(config.drift, before.drift, up)
    asked = level.read(config.level, config.instrument, total, observation.rating.items, fallen.fall)
    after = before._replace(ratings=before.ratings + 1, rolling=rolling_state, drop=drop_state, drift=drift_state)
    seen = Seen(rolled, None, fallen, drifted, asked)
    if before.allied is None:
        tracked, track = _track(config, before.track, up)
        seen = seen._replace(track=track)
        return after._replace(track=tracked), _reading(config, observation, after.ratings, scored, (seen, None, ()))
    allied, change, strain, silent = _ally(config, before.allied, observation.fact.occurred_at, (up, rolled.expected))
    said = (seen._replace(rupture=change), strain, silent)
    return after._replace(allied=allied), _reading(config, observation, after.ratings, scored, said)


def _track(
    config: SeriesConfig, state: off_track.State | None, score: float
) -> tuple[off_track.State | None, off_track.Reading | None]:
    """What is asked of outcomes only; the lines are given on the instrument's own scale."""
    if config.off_track is None or state is None:
        return state, None
    state, read = off_track.step(config.off_track, state, score)
    return state, off_track.turned(read, partial(upwards, config.instrument))


def _ally(
    config: SeriesConfig, state: Allied, at: int, rated: tuple[float, rolling.Expected | None]
) -> tuple[Allied, rupture.Reading | None, Strain, tuple[str, ...]]:
    """What is asked of alliance measures only: whether it changed, what became of that, whether ratings inform."""
    score, expected = rated
    changed, change = rupture.read(config.rupture, state.rupture, score)
    strain = _strain(config, change, expected)
    repaired, mended = repair.step(config.repair, state.repair, repair.Session(at, score, strain))
    followed, sequence = sequences.step(config.sequences, state.sequences, score)
    informed, quality_of = quality.step(config.quality, state.quality, score)
    silent = ("always-at-best",) if quality_of.informative is False else ()
    chance, leaving = change.evidence.probability if change else None, state.leaving
    leaving = hazard.step(config.leaving, leaving, score, chance) if config.leaving and leaving else None
    return Allied(changed, repaired, followed, informed, leaving), change, _told(mended, sequence), silent


def _strain(
    config: SeriesConfig, change: rupture.Reading | None, expected: rolling.Expected | None
) -> repair.Strain | None:
    """What opens a strain: as rare and as far below the usual as the engine's own line asks."""
    if change is None or expected is None or change.evidence.rate >= config.strain_rate:
        return None
    return repair.Strain(expected.mean, expected.drop) if expected.drop >= config.strain_drop else None


def _told(mended: repair.Reading, sequence: sequences.Reading) -> Strain:
    before, target = (None if each is None else published(each) for each in (mended.before, mended.target))
    steps = tuple([each.reason for each in mended.transitions])
    return Strain(mended.phase, steps, before, target, mended.sessions, sequence.lenient.phase, sequence.strict.phase)


_Said = tuple[Seen, Strain | None, tuple[str, ...]]


def _reading(config: SeriesConfig, observation: Observation, number: int, scored: Scored, said: _Said) -> Reading:
    seen, strain, silent = said
    instrument, expected = config.instrument, seen.rolling.expected
    band = _band(config, seen.rolling)
    detectors = DETECTORS if instrument.family == "alliance" else OUTCOME_DETECTORS
    return _envelope(
        observation,
        number,
        total=scored.total,
        facets=scored.facets,
        index=index(instrument, scored.total) if scored.total is not None else None,
        score=band,
        score_index=_indexed(config, band),
        expected=_expectation(config, expected) if expected else None,
        tail_probability=published(expected.tail_probability) if expected else None,
        signals=tuple([detect(seen) for detect in detectors]),
        quality=(*_quality(config, observation, number, scored.total, expected), *silent),
        strain=strain,
    )


def _partial(config: SeriesConfig, observation: Observation, before: State, scored: Scored) -> Reading:
    number = before.ratings + 1
    quality = _quality(config, observation, number, None, None)
    return _envelope(observation, number, why_no_total=scored.why_no_total, facets=scored.facets, quality=quality)


def _unscored(observation: Observation, number: int, why: str) -> Reading:
    return _envelope(observation, number, why_no_total=why)


def _envelope(observation: Observation, number: int, **numbers: object) -> Reading:
    fact = observation.fact
    return Reading(
        fact_id=fact.fact_id,
        rating_id=fact.record_id,
        session_id=fact.session_id,
        session_number=number,
        clinician_id=observation.clinician_id,
        instrument=observation.rating.instrument,
        rater=observation.rating.rater,
        occurred_at=fact.occurred_at,
        recorded_at=fact.recorded_at,
        historical=fact.historical,
        **numbers,  # type: ignore[arg-type]  # the callers above name Reading's own fields
    )


def _quality(
    config: SeriesConfig, observation: Observation, number: int, total: float | None, seen: rolling.Expected | None
) -> tuple[str, ...]:
    up = None if total is None else upwards(config.instrument, total)
    expected = seen.mean if seen else None
    return quality.flags(config.instrument, observation.rating, up, expected=expected, first=number == 1)


def _band(config: SeriesConfig, rolled: rolling.Reading) -> Band:
    ends = sorted(published(upwards(config.instrument, end)) for end in (rolled.low, rolled.high))
    return Band(published(upwards(config.instrument, rolled.level)), *ends)


def _indexed(config: SeriesConfig, band: Band) -> Band:
    low, high = sorted(index(config.instrument, end) for end in (band.low, band.high))
    return Band(index(config.instrument, band.level), low, high)


def _expectation(config: SeriesConfig, expected: rolling.Expected) -> Expectation:
    """Quantiles on the instrument's own scale: where that runs downwards, the complement's, turned round."""
    quantiles = {
        name: upwards(config.instrument, value)
        for name, value in zip(config.quantile_names, expected.quantiles, strict=True)
    }
    return Expectation(published(upwards(config.instrument, expected.mean)), quantiles)
