"""What an event costs with more clients, more partitions, longer histories: all of scoring, real core, real Kafka.

The table is filled beforehand with episodes of so many sessions; then one rating more for each client in turn is read
from a full topic. Chunks are small enough to hold each client once, however few there are: with larger ones few clients
would look cheaper, since a chunk decodes and encodes each of its episodes once. Each partition has several chunks, and
the clock runs from the first quarter settled to the third: a partition's first transaction costs much, once.

What counts is the worker's own processor time; what the clock on the wall says, with Kafka's part and all waiting, is
kept beside it.
"""

from __future__ import annotations

import json
import random
import sys
import uuid
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass
from datetime import timedelta
from statistics import median
from typing import NamedTuple
from uuid import UUID

import uvloop

from schemas import codec, events
from schemas.codec import Record
from services.platform import kafka, process
from services.scoring.app import ScoringApp
from services.scoring.ports import Change
from services.scoring.settings import ScoringSettings
from tests.benchmarks import scoring_runs
from tests.benchmarks.harness import RESULTS, Question, Row, beside, say
from tests.benchmarks.memory import own, states
from tests.benchmarks.scoring import fill, module, said
from tests.scoring_facts import ITEMS, START
from tests.stack import running

CHUNK, EVENTS, MOST_BYTES, AT_ONCE, MOST_ROUNDS = 125, 8_000, 600_000_000, 10_000, 3
CHUNKS_EACH, BETWEEN = 4, (0.25, 0.75)
POINTS = "scaling-points.json"
TENANT = UUID(int=7)


@dataclass(frozen=True)
class Point:
    """Where it is measured."""

    clients: int = 20_000
    partitions: int = 4
    sessions: int = 5

    @property
    def events(self) -> int:
        """As many as make the run long enough, and histories little longer, and the changelog not too large."""
        enough = max(EVENTS, CHUNKS_EACH * CHUNK * self.partitions)
        return min(enough, 4 * self.clients, MOST_BYTES // (700 * self.sessions))


class Cost(NamedTuple):
    """Microseconds an event."""

    wall: float
    cpu: float


SWEEPS = {
    "clients": [Point(clients=count) for count in (1_000, 10_000, 100_000, 1_000_000)],
    "partitions": [Point(partitions=count) for count in (4, 16, 64)],
    "sessions": [Point(clients=1_000, sessions=count) for count in (1, 20, 100, 400)],
}


def _asked(name: str, at_most: float | None, points: Sequence[Point]) -> Question:
    first, *_, last = (getattr(point, name) for point in points)
    step = f"scoring, real core: an event with {last:,} {name}"
    return Question(f"scaling-{name}", step, f"with {first:,}", "us of CPU", times_at_most=at_most)


async def rows(rounds: int, most_clients: int = 1_000_000) -> list[Row]:
    """The three sweeps, without what has more clients than that; all points are kept for the figure."""
    sweeps = {name: [point for point in points if point.clients <= most_clients] for name, points in SWEEPS.items()}
    async with running() as stack:
        taken = {
            name: [await _round(stack.kafka.bootstrap, points, number) for number in range(min(rounds, MOST_ROUNDS))]
            for name, points in sweeps.items()
        }
    _keep(sweeps, taken)
    bounds = {"clients": 1.2, "partitions": 1.2, "sessions": None}
    return [_row(_asked(name, bounds[name], sweeps[name]), sweeps[name], measured) for name, measured in taken.items()]


async def _round(bootstrap: str, points: Sequence[Point], number: int) -> list[Cost]:
    """What each point costs; every other round begins with the last one, as machines drift."""
    order = range(len(points)) if number % 2 == 0 else reversed(range(len(points)))
    costs = {at: await _cost(bootstrap, points[at]) for at in order}
    return [costs[at] for at in range(len(points))]


def _row(asked: Question, points: Sequence[Point], measured: Sequence[Sequence[Cost]]) -> Row:
    name = asked.name.removeprefix("scaling-")
    said = ", ".join(
        f"{getattr(point, name):,}: {median(each.cpu for each in costs):,.0f}"
        f" ({min(each.wall for each in costs):,.0f} on the wall at best)"
        for point, costs in zip(points, zip(*measured, strict=True), strict=True)
    )
    return beside(asked, [(each[-1].cpu, each[0].cpu) for each in measured], said)


def _keep(sweeps: dict[str, list[Point]], taken: dict[str, list[list[Cost]]]) -> None:
    RESULTS.mkdir(exist_ok=True)
    points = {
        name: [
            {**asdict(point), "cpu": [each.cpu for each in costs], "wall": [each.wall for each in costs]}
            for point, costs in zip(sweeps[name], zip(*measured, strict=True), strict=True)
        ]
        for name, measured in taken.items()
    }
    (RESULTS / POINTS).write_text(json.dumps(points, indent=1))


async def _cost(bootstrap: str, point: Point) -> Cost:
    settings = ScoringSettings(
        kafka_bootstrap=bootstrap, kafka_topic_prefix=f"s{uuid.uuid4().hex[:8]}-", kafka_partitions=point.partitions
    )
    await kafka.create_topics(settings)
    await fill(settings, _ratings(point))
    wall, cpu = await said(settings, *module("scaling", *map(str, astuple(point)), str(point.events)))
    say(f"  {point}: {cpu:,.0f} us of CPU an event, {wall:,.0f} on the wall")
    return Cost(wall, cpu)


# ------------------------------------------------------------------------------------------------ what is measured


def _whose(number: int) -> tuple[UUID, UUID, UUID]:
    """Tenant, client and episode."""
    return TENANT, UUID(int=10**9 + number), UUID(int=2 * 10**9 + number)


def _key(number: int) -> bytes:
    return ":".join(map(str, _whose(number))).encode()


def _ratings(point: Point) -> list[Record]:
    """A rating of each client in turn, later than all that is held of any."""
    rng = random.Random(3)
    order = rng.sample(range(point.clients), min(point.clients, point.events))
    return [codec.encode_fact(_rating(order[at % len(order)], point.sessions + at, rng)) for at in range(point.events)]


def _rating(client: int, week: int, rng: random.Random) -> events.RatingSubmitted:
    at = START + timedelta(weeks=500, minutes=week)
    tenant, client_id, episode = _whose(client)
    return events.RatingSubmitted(
        fact_id=UUID(int=rng.getrandbits(128)),
        record_id=UUID(int=rng.getrandbits(128)),
        session_id=UUID(int=rng.getrandbits(128)),
        clinician_id=UUID(int=11),
        occurred_at=at,
        recorded_at=at,
        instrument="srs@3",
        rater="client",
        items={item: rng.randint(60, 100) / 10 for item in ITEMS},
        tenant_id=tenant,
        client_id=client_id,
        episode_id=episode,
    )


def _held(point: Point) -> list[bytes]:
    """A few histories, which the clients share: what is in them costs the same for all."""
    return list(states(20, point.sessions).values())


async def _main(point: Point, total: int) -> None:
    settings, made = ScoringSettings(scoring_chunk_records=CHUNK), _held(point)

    def prepare(app: ScoringApp) -> None:
        for start in range(0, point.clients, AT_ONCE):
            numbers = range(start, min(start + AT_ONCE, point.clients))
            changes = [Change("", 0, at, _key(at), own(made[at % len(made)])) for at in numbers]
            app.episodes.apply_changelog_batch(changes)
        process.tune()

    pace = await scoring_runs.ours(settings, "real", total, prepare, BETWEEN)
    sys.stdout.write(f"{1e6 / pace.rate} {pace.cpu_us}\n")


if __name__ == "__main__":
    *place, count = map(int, sys.argv[1:])
    uvloop.run(_main(Point(*place), count))
