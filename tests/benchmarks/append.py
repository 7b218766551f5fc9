"""One fact more in an episode: a rating at its end, a correction in its midst, and the bytes of the whole."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

from schemas import codec
from services.scoring import state, wire
from services.scoring.domain import episode
from services.scoring.domain.config import DEFAULT
from services.scoring.domain.facts import Fact
from services.scoring.handlers import on_facts
from services.scoring.state import Held
from tests.benchmarks.harness import Question, Row, alone, beside
from tests.scoring_facts import caseload

APPEND = Question("append", "append one rating to an episode of 20 sessions, all detectors", "-", "us", at_most=60)
ENCODE = Question("encode", "encode that episode", "its append", "us")
CORRECTION = Question(
    "correction",
    "a correction: each session after it, where half of 400 are after it",
    "each of 50 sessions after it: linear",
    "us",
    times_at_most=1.25,
)


async def rows(rounds: int) -> list[Row]:
    """Pure code on one core: nothing waits, and the few loops are medians already."""
    short, long = History(20), History(400)
    appends = [short.append() for _ in range(rounds)]
    encodes = [short.encode() for _ in range(rounds)]
    return [
        alone(APPEND, appends, f"{long.append():.0f} us at 400 sessions"),
        alone(ENCODE, encodes, _of_encoding(short, long, median(appends), median(encodes))),
        beside(CORRECTION, [_correction(long) for _ in range(rounds)], _of_correction(short, long)),
    ]


class History:
    """An episode of so many weeks, and one rating later than all of them."""

    def __init__(self, sessions: int) -> None:
        records = map(codec.encode_fact, caseload(3, 1, sessions))
        facts = [wire.to_domain(wire.decode(record.value, record.headers)) for record in records]
        versions = [fact.record_id for fact in facts]
        last = next(fact for fact in reversed(facts) if fact.rating and versions.count(fact.record_id) == 1)
        self.facts = [fact for fact in facts if fact is not last]
        self.new = last._replace(occurred_at=max(fact.occurred_at for fact in self.facts) + 1)
        self.held: Held = on_facts(DEFAULT, None, self.facts)[0]
        self.encoded = state.encode(self.held)

    def append(self) -> float:
        return micros(lambda: episode.step(DEFAULT, self.held.episode, [self.new]))

    def encode(self) -> float:
        return micros(lambda: state.encode(self.held))

    def decode(self) -> float:
        return micros(lambda: state.decode(self.encoded))

    def correct(self, after: int) -> float:
        """A correction of the rating that has so many others after it."""
        corrected = self._corrected(after)
        return micros(lambda: episode.step(DEFAULT, self.held.episode, [corrected]), times=max(2, 200 // (after + 1)))

    @property
    def most(self) -> int:
        """How many ratings are after the first."""
        return len(self.held.episode.course.observations) - 1

    def _corrected(self, after: int) -> Fact:
        fact = self.held.episode.course.observations[self.most - after].fact
        assert fact.rating is not None
        items = {item: 10.0 - (answer or 0.0) for item, answer in fact.rating.items.items()}
        return fact._replace(
            fact_id="corrected", version=99, kind="rating.amended", rating=fact.rating._replace(items=items)
        )


def micros(work: Callable[[], object], times: int = 300) -> float:
    """The median over a few loops."""
    taken = []
    for _ in range(7):
        began = time.perf_counter()
        for _ in range(times):
            work()
        taken.append((time.perf_counter() - began) / times * 1e6)
    return median(taken)


def _correction(history: History) -> tuple[float, float]:
    """What each further session after the correction costs, when there are many and when there are few."""
    few, many = 50, history.most // 2
    none, some, all_of_them = (history.correct(after) for after in (0, few, many))
    return (all_of_them - none) / many, (some - none) / few


def _of_correction(short: History, long: History) -> str:
    first, last = short.correct(short.most), short.correct(0)
    return (
        f"the first of {short.most + 1} ratings {first:,.0f} us, the last {last:,.0f}; "
        f"the first of {long.most + 1} {long.correct(long.most):,.0f} us, the last {long.correct(0):,.0f}"
    )


def _of_encoding(short: History, long: History, append: float, encode: float) -> str:
    decode = short.decode()
    share = encode / (decode + append + encode)
    each = [1_000 * taken / len(of.facts) for taken, of in ((encode, short), (long.encode(), long))]
    return (
        f"{share:.0%} of decode, append and encode; {each[0]:.0f} ns a fact of {len(short.facts)} and {each[1]:.0f} "
        f"of {len(long.facts)}; {len(short.encoded):,} and {len(long.encoded):,} bytes; decoding {decode:.0f} us"
    )
