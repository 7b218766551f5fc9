"""What `fit` is made from: totals by client, instrument and clinician, out of a clinic's recorded events."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from schemas.instruments import Scored, UnknownInstrument, lookup, score
from services.lab.backtest.source import Fault, Known, clients, cut
from services.scoring.domain.config import upwards
from services.scoring.domain.course import Course, Observation
from services.scoring.domain.facts import Fact

PART_BYTES: Final = 16_000_000
_MOST_PARTS: Final = 200


@dataclass(slots=True)
class Ratings:
    """By instrument, the courses: totals upwards, in the order of care. `refused`: lines that are no event.

    `closed`: the same of outcomes over whole episodes that have ended, whoever the clinician was.
    """

    series: defaultdict[str, list[list[float]]] = field(default_factory=lambda: defaultdict(list))
    closed: defaultdict[str, list[list[float]]] = field(default_factory=lambda: defaultdict(list))
    refused: int = 0
    first_fault: Fault | None = None

    def take(self, course: Course) -> None:
        """One course of care."""
        for instrument, totals in stretches(course.observations):
            self.series[instrument].append(totals)
        if course.opening[1] is not None:
            for instrument, totals in _outcomes(course.observations).items():
                self.closed[instrument].append(totals)

    def refuse(self, fault: Fault) -> None:
        self.refused += 1
        self.first_fault = self.first_fault or fault


def ratings(events: Path, told: Callable[[int], None] = lambda _: None) -> Ratings:
    """Every course in a file of any size; `told` hears bytes, of the whole file twice.

    Raises:
        UnreadableFile: no such file, or one that cannot be read to its end.
    """
    found = Ratings()
    size = events.stat().st_size if events.is_file() else 0
    with tempfile.TemporaryDirectory(prefix="attune-fit-") as folder:
        for part in cut(events, Path(folder), min(_MOST_PARTS, 1 + size // PART_BYTES), told):
            for known in clients(part):
                if isinstance(known, Fault):
                    found.refuse(known)
                    continue
                for course in courses(known):
                    found.take(course)
            told(part.stat().st_size)
    return found


def courses(known: Known) -> Iterator[Course]:
    """One client's courses of care."""
    by_episode: defaultdict[str, list[Fact]] = defaultdict(list)
    for episode, fact in known.facts:
        by_episode[episode].append(fact)
    for facts in by_episode.values():
        dropped = {fact.drops for fact in facts if fact.drops}
        yield Course.of([fact for fact in facts if fact.fact_id not in dropped])


def _outcomes(observations: Iterable[Observation]) -> dict[str, list[float]]:
    scores = defaultdict[str, list[float]](list)
    for seen in observations:
        instrument, total = lookup(seen.rating.instrument), _total(seen)
        if total is not None and not isinstance(instrument, UnknownInstrument) and instrument.family == "outcome":
            scores[instrument.key].append(total)
    return scores


def stretches(observations: Iterable[Observation]) -> Iterator[tuple[str, list[float]]]:
    """By instrument, each with one clinician, as the engine parts them: with another one, baselines begin anew.

    A rating that names nobody goes on where the last one was.
    """
    open_: dict[str, tuple[str | None, list[float]]] = {}
    for seen in observations:
        total = _total(seen)
        if total is None:
            continue
        instrument, clinician = seen.rating.instrument, seen.clinician_id
        before, totals = open_.get(instrument, (clinician, []))
        if None not in {before, clinician} and before != clinician:
            yield instrument, totals
            totals = []
        open_[instrument] = (clinician or before, [*totals, total])
    yield from ((instrument, totals) for instrument, (_, totals) in open_.items())


def _total(seen: Observation) -> float | None:
    """Upwards; of what the client filled in, where it can be scored."""
    instrument = lookup(seen.rating.instrument)
    if isinstance(instrument, UnknownInstrument) or seen.rating.rater != "client":
        return None
    scored = score(instrument, seen.rating.items, seen.rating.total)
    total = scored.total if isinstance(scored, Scored) else None
    return None if total is None else upwards(instrument, total)
