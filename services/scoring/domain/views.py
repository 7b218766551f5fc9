"""Two views of one session: where client and therapist both rate the alliance, how their views have moved apart.

What is said of a rating depends on the few sessions before it and on the partner's rating of its own, if that came
before it in the order of care. It is read off the episode's ratings each time, so nothing of it is ever stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from schemas.instruments import Instrument, Scored, lookup, score
from services.scoring.domain import discrepancy
from services.scoring.domain.config import EngineConfig, SeriesConfig, series_config
from services.scoring.domain.course import Observation
from services.scoring.domain.series import Reading
from services.scoring.domain.signals import two_views


def compared(engine: EngineConfig, observations: Sequence[Observation], place: int, reading: Reading) -> Reading:
    """The reading of the observation at this place, with what it says beside the partner's view, if anything."""
    config = series_config(engine, reading.instrument)
    if not isinstance(config, SeriesConfig) or config.discrepancy is None or reading.total is None:
        return reading
    near = list(_near(config.instrument, observations, place))
    if len({each.rating.rater for each in near}) < discrepancy.BOTH:
        return reading
    signal = two_views(_read(engine, config.discrepancy, near[::-1]))
    return reading if signal is None else replace(reading, signals=(*reading.signals, signal))


def _near(instrument: Instrument, observations: Sequence[Observation], place: int) -> Iterator[Observation]:
    """From this rating back: ratings of the same alliance on forms of the same family, as far as a change counts."""
    sessions, clinician = set[str](), observations[place].clinician_id
    for number in range(place, -1, -1):
        seen = observations[number]
        if not _same(instrument, seen) or seen.fact.session_id is None:
            continue
        sessions.add(seen.fact.session_id)
        if seen.clinician_id != clinician or len(sessions) > discrepancy.WITHIN_SESSIONS + 1:
            return
        yield seen


def _same(instrument: Instrument, seen: Observation) -> bool:
    other = lookup(seen.rating.instrument)
    return isinstance(other, Instrument) and discrepancy.family_of(other) == discrepancy.family_of(instrument)


def _read(engine: EngineConfig, config: discrepancy.Config, ratings: Sequence[Observation]) -> discrepancy.Reading:
    """What the last of these says, each read by the norms of its own form; sessions are counted among them."""
    state, sessions = discrepancy.start(config), dict[str, int]()
    read = discrepancy.Reading(None, None, "")
    for seen in ratings:
        own, total = series_config(engine, seen.rating.instrument), total_of(seen)
        if isinstance(own, SeriesConfig) and own.discrepancy is not None and total is not None:
            session = sessions.setdefault(str(seen.fact.session_id), len(sessions) + 1)
            rated = discrepancy.Observation(session, seen.rating.rater, total)
            state, read = discrepancy.step(own.discrepancy, state, rated)
    return read


def total_of(seen: Observation) -> float | None:
    """The total of a rating on its own scale, where it has one."""
    instrument = lookup(seen.rating.instrument)
    if not isinstance(instrument, Instrument):
        return None
    scored = score(instrument, seen.rating.items, seen.rating.total)
    return scored.total if isinstance(scored, Scored) else None
