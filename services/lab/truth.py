"""What really happened in a caseload, as arrays over all its sessions: what a rule is held against.

A session is *clean* when no rupture is active in it nor in the one before. A rupture is *caught* when it is flagged in
its window: from its onset while it is still getting worse, and one session more (so at onset or next, where it comes
at once). Concealed ruptures make sessions unclean, and nobody is asked to catch them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.lab.population import Course, Floats, Marks

Places = NDArray[np.int64]

BANDS: Final = ("2-4", "5-9", "10+")
"""Of the session in which a rupture begins, counted from 1."""
ALL: Final = "all"
SCOPES: Final = (ALL, *BANDS)
"""Sessions over which false alarms are counted: all, or those of one band."""
GRADUAL: Final = ("staircase", "slide")
UNKNOWN: Final = "unknown"
_BAND_STARTS: Final = (5, 10)


class Rupture(NamedTuple):
    """Sessions count from 0; `last` is the last one in which a flag counts."""

    onset: int
    last: int
    shape: str
    repaired_at: int | None = None
    """The first session after it, where there is one."""


class Label(NamedTuple):
    """One rupture of a labels file."""

    onset: int
    end: int
    shape: str | None = None
    expressed: bool = True


class Case(NamedTuple):
    """One client's rated sessions. `expressed`: a rupture that shows is active; `ruptures` are those that show."""

    clean: tuple[bool, ...]
    expressed: tuple[bool, ...]
    ruptures: tuple[Rupture, ...]
    ruptured: bool
    """Whether any rupture was active at any time, shown or not."""


@dataclass(frozen=True, slots=True)
class Truth:
    """Sessions of all clients after each other; ruptures point to them."""

    clients: int
    client: Places
    first: Places
    """Of each client: where their sessions begin."""
    clean: Marks
    session_band: NDArray[np.int8]
    """Of each session: the place of its band in `SCOPES`; 0 for the first session, in which nothing begins."""
    expressed: Marks
    ruptured: Marks
    """Of each client."""
    rupture_client: Places
    onset: Places
    last: Places
    shape: tuple[str, ...]
    band: tuple[str, ...]

    @property
    def sessions(self) -> int:
        return int(self.client.size)

    def clean_in(self, scope: str) -> Marks:
        """The clean sessions of a scope."""
        return self.clean if scope == ALL else self.clean & (self.session_band == SCOPES.index(scope))

    def only(self, scope: str, evidence: Floats) -> Floats:
        """The evidence of a scope's sessions; of the others, none."""
        return evidence if scope == ALL else np.where(self.session_band == SCOPES.index(scope), evidence, -np.inf)


def case(course: Course) -> Case:
    """What a simulated course is held against.

    >>> from services.lab.generator import simulate
    >>> seen = next(filter(lambda each: each.ruptures, map(case, simulate(7, 50))))
    >>> seen.ruptures
    (Rupture(onset=4, last=5, shape='one-session', repaired_at=5),)
    """
    before = (False, *course.ruptured)
    clean = tuple(not now and not then for now, then in zip(course.ruptured, before, strict=False))
    onsets = [at for at, begins in enumerate(course.onset) if begins and course.expressed[at]]
    shown = tuple(_rupture(course, at) for at in onsets)
    return Case(clean, course.expressed, shown, any(course.ruptured))


def labelled(sessions: int, ruptures: Iterable[Label]) -> Case:
    """A case from a labels file: sessions counted from 1, `end` inclusive.

    A label does not say how long a rupture was getting worse: of a staircase or slide all of it counts, and one session
    more. Without a shape it is taken as one that came at once.

    >>> seen = labelled(8, [Label(onset=3, end=5, shape="slide"), Label(onset=8, end=8, expressed=False)])
    >>> seen.ruptures, [at for at, clean in enumerate(seen.clean, start=1) if clean]
    ((Rupture(onset=2, last=5, shape='slide', repaired_at=5),), [1, 2, 7])
    """
    known = list(ruptures)
    active, shown = np.zeros(sessions, bool), np.zeros(sessions, bool)
    for each in known:
        active[each.onset - 1 : each.end] = True
        shown[each.onset - 1 : each.end] |= each.expressed
    clean = ~active & ~np.append(False, active[:-1])
    found = tuple(_labelled(sessions, each) for each in known if each.expressed)
    return Case(tuple(clean.tolist()), tuple(shown.tolist()), found, bool(active.any()))


def _labelled(sessions: int, label: Label) -> Rupture:
    worst = label.end if label.shape in GRADUAL else label.onset
    ends = label.end < sessions
    return Rupture(label.onset - 1, min(worst, sessions - 1), label.shape or UNKNOWN, label.end if ends else None)


def truth(cases: Sequence[Case]) -> Truth:
    """All clients after each other."""
    lengths = np.array([len(each.clean) for each in cases], np.int64)
    first = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    found = [(client, rupture) for client, each in enumerate(cases) for rupture in each.ruptures]
    starts = [int(first[client]) for client, _ in found]
    return Truth(
        clients=len(cases),
        client=np.repeat(np.arange(len(cases)), lengths),
        first=first,
        clean=_marks(each.clean for each in cases),
        session_band=_bands(lengths, first),
        expressed=_marks(each.expressed for each in cases),
        ruptured=np.array([each.ruptured for each in cases]),
        rupture_client=np.array([client for client, _ in found], np.int64),
        onset=np.array([start + each.onset for start, (_, each) in zip(starts, found, strict=True)], np.int64),
        last=np.array([start + each.last for start, (_, each) in zip(starts, found, strict=True)], np.int64),
        shape=tuple(each.shape for _, each in found),
        band=tuple(band(each.onset + 1) for _, each in found),
    )


def band(session: int) -> str:
    """Of an onset, its session counted from 1.

    >>> band(2), band(5), band(10)
    ('2-4', '5-9', '10+')
    """
    return BANDS[sum(session >= start for start in _BAND_STARTS)]


def _rupture(course: Course, onset: int) -> Rupture:
    sessions = len(course.totals)
    end = onset + 1
    while end < sessions and course.ruptured[end] and not course.onset[end]:
        end += 1
    worst = max(at for at in range(onset, end) if course.falling[at] or at == onset)
    ends = end < sessions and not course.ruptured[end]
    return Rupture(onset, min(worst + 1, sessions - 1), course.shape[onset] or UNKNOWN, end if ends else None)


def _bands(lengths: Places, first: Places) -> NDArray[np.int8]:
    session = np.arange(int(lengths.sum())) - np.repeat(first, lengths) + 1
    return np.where(session < 2, 0, 1 + np.digitize(session, _BAND_STARTS)).astype(np.int8)


def _marks(rows: Iterable[tuple[bool, ...]]) -> Marks:
    return np.fromiter(chain.from_iterable(rows), bool)


def most_in_windows(truth_: Truth, evidence: Floats) -> tuple[Floats, Places]:
    """For each rupture: the most evidence in its window, and how many sessions of it have just that much."""
    if not truth_.onset.size:
        return np.zeros(0), np.zeros(0, np.int64)
    edges = np.column_stack((truth_.onset, truth_.last + 1)).ravel()
    padded = np.append(evidence, -np.inf)
    most = np.maximum.reduceat(padded, edges)[::2]
    length = truth_.last - truth_.onset + 1
    owner = np.repeat(np.arange(length.size), length)
    at = np.arange(owner.size) - np.repeat(np.cumsum(length) - length, length) + truth_.onset[owner]
    ties = np.bincount(owner, weights=evidence[at] == most[owner], minlength=length.size)
    return most, ties.astype(np.int64)
