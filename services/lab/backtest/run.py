"""A whole caseload, on every core, in bounded memory: cut by client, lived through part by part, added up."""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from services.alerts.domain.policy import Policy
from services.lab.backtest.course import Terms, lived
from services.lab.backtest.labels import CourseLabel, Key
from services.lab.backtest.source import Fault, census, clients, cut
from services.lab.backtest.tally import Tally
from services.scoring.domain.config import DEFAULT, EngineConfig

PART_BYTES: Final = 4_000_000
"""Of the file: what one process holds at a time."""
MOST_PARTS: Final = 500
LATE_SHARE: Final = 0.25
"""Feeds have some late events; where there are more, lines do not come in the order in which they became known."""
Told = Callable[[int], None]
Map = Callable[[Callable[[Path], Any], list[Path]], Iterator[Any]]


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked. `labels` may be empty."""

    events: Path
    policies: tuple[Policy, ...]
    labels: Mapping[Key, CourseLabel]
    engine: EngineConfig = DEFAULT
    cores: int = 1
    textbook: tuple[str, ...] = ()
    """Rules of textbooks to stand beside them."""

    @property
    def names(self) -> tuple[str, ...]:
        return (*(each.name for each in self.policies), *self.textbook)


def backtest(asked: Request, told: Told) -> Tally:
    """Live through all of it; `told` of the file's bytes twice, once as they are read and once as they are lived.

    Raises:
        UnreadableFile: no such file, or one that cannot be read to its end.
    """
    total = Tally.of(len(asked.names))
    with tempfile.TemporaryDirectory(prefix="attune-backtest-") as folder, _over(asked.cores) as each_of:
        size = asked.events.stat().st_size if asked.events.is_file() else 0
        parts = cut(asked.events, Path(folder), min(MOST_PARTS, asked.cores + size // PART_BYTES), told)
        counted = list(each_of(census, parts))
        terms = Terms(
            engine=asked.engine,
            policies=asked.policies,
            clients=sum(each.clients for each in counted),
            until=max((each.latest for each in counted), default=0),
            textbook=asked.textbook,
        )
        late, lines = (sum(counts) for counts in zip(*[(each.late, each.lines) for each in counted], strict=True))
        total.in_order_of_care = late > LATE_SHARE * lines
        live = partial(_part, terms=terms, labels=asked.labels, in_order_of_care=total.in_order_of_care)
        whole = sum(part.stat().st_size for part in parts)
        for found, done in each_of(live, parts):
            total.add(found)
            told(size * done // max(1, whole))
    return total


def _part(part: Path, *, terms: Terms, labels: Mapping[Key, CourseLabel], in_order_of_care: bool) -> tuple[Tally, int]:
    """The clients of one part, and its bytes."""
    tally = Tally.of(len(terms.policies) + len(terms.textbook))
    for known in clients(part, in_order_of_care=in_order_of_care):
        if isinstance(known, Fault):
            tally.refuse(known)
            continue
        tally.events += len(known.facts)
        tally.take(lived(known, terms), labels)
    return tally, part.stat().st_size


@contextmanager
def _over(cores: int) -> Iterator[Map]:
    """`map` over so many processes, results as they come."""
    if cores == 1:
        yield map
        return
    with multiprocessing.get_context("forkserver").Pool(cores) as pool:
        yield pool.imap_unordered
