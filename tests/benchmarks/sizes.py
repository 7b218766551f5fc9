"""What a fact takes on the disks of PostgreSQL and Kafka, with everything that follows from it: no time, only bytes.

A caseload in the mix that docs/deploy.md reckons with (booked, attended, two measures a session), posted one by one,
so that most facts are answered, and their states written, by themselves: records that travel together are smaller
together. What is there before the first post is taken off. Kafka's logs are measured before anything is compacted: what
the changelog keeps for good is one state for each episode.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg

from schemas.topics import EPISODES_CHANGELOG
from services.platform import kafka
from services.platform.settings import Settings
from tests.benchmarks.harness import Question, Row, alone, say
from tests.chaos.load import Load
from tests.whole_road import Road, until, whole_road

CLIENTS, SESSIONS, RATE = 200, 20, 200
DAYS_BETWEEN = 3
KINDS = ("session.booked", "session.attended", "srs@3", "ors@1")
ITEMS = {
    "srs@3": ("relationship", "goals_and_topics", "approach_or_method", "overall"),
    "ors@1": ("individual", "interpersonal", "social", "overall"),
}
POSTGRES = Question("sizes-postgres", "a fact in PostgreSQL, with indexes and what follows from it", "-", "bytes")
KAFKA = Question("sizes-kafka", "a fact in Kafka's topics that are kept 30 days", "-", "bytes")
CHANGELOG = Question("sizes-changelog", "a fact in scoring's changelog until that is compacted", "-", "bytes")
STATE = Question("sizes-state", f"an episode of {SESSIONS} sessions in the changelog for good", "-", "bytes")
BY_SCHEMA = """
    select nspname, sum(pg_total_relation_size(c.oid))::bigint from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where relkind = 'r' and nspname in ('access', 'vault', 'ingest', 'alerts') group by nspname order by nspname
"""


async def rows(_: int) -> list[Row]:
    """Once: bytes do not vary from round to round."""
    posts = list(caseload())
    async with whole_road() as road:
        tables, logs = await _postgres(road), _topics(road.stack.kafka.data)
        await _post(road, posts[:-CLIENTS])
        before = _topics(road.stack.kafka.data)[EPISODES_CHANGELOG.name]
        await _post(road, posts[-CLIENTS:])
        by_schema = _each(await _postgres(road), tables, len(posts))
        by_topic = _each(now := _topics(road.stack.kafka.data), logs, len(posts))
        held = await _states(road)
    changelog = by_topic.pop(EPISODES_CHANGELOG.name)
    return [
        alone(POSTGRES, [sum(by_schema.values())], _listed(by_schema)),
        alone(KAFKA, [sum(by_topic.values())], _listed(by_topic)),
        alone(CHANGELOG, [changelog], f"of episodes that grow from 1 to {SESSIONS} sessions"),
        alone(STATE, [(now[EPISODES_CHANGELOG.name] - before) / CLIENTS], f"{held:,.0f} bytes in the table's memory"),
    ]


def caseload() -> Iterator[dict[str, Any]]:
    """Session by session, kind by kind, client by client: no client's facts come together."""
    rng = random.Random(5)
    begin = datetime.now(UTC).replace(microsecond=0) - timedelta(days=DAYS_BETWEEN * SESSIONS)
    for session in range(SESSIONS):
        for kind in KINDS:
            for client in range(CLIENTS):
                yield _about(session, client, kind) | _what(kind, begin, session, client, rng)


def _about(session: int, client: int, kind: str) -> dict[str, Any]:
    """References as long as an EHR's."""
    return {
        "id": f"{kind}-{client:06}-{session:04}",
        "client": f"C-{client:08}",
        "clinician": f"T-{client % 12:04}",
        "session": f"S-{client:06}-{session:04}",
    }


def _what(kind: str, begin: datetime, session: int, client: int, rng: random.Random) -> dict[str, Any]:
    at = begin + timedelta(days=DAYS_BETWEEN * session, minutes=client)
    if kind == "session.booked":
        return {"type": kind, "starts_at": at.isoformat(), "occurred_at": (at - timedelta(days=2)).isoformat()}
    if kind == "session.attended":
        return {"type": kind, "occurred_at": at.isoformat()}
    usual = 7.5 + client % 20 / 10
    items = {item: round(min(10.0, rng.gauss(usual, 0.6)), 1) for item in ITEMS[kind]}
    return {"type": "rating.submitted", "occurred_at": at.isoformat(), "rating": {"instrument": kind, "items": items}}


async def _post(road: Road, posts: Sequence[dict[str, Any]]) -> None:
    """One by one, until all that follows is written."""
    wanted = len(road.accepted) + len(posts)

    async def taken() -> bool:
        return len(road.accepted) == wanted

    async with Load(road, per_second=RATE, senders=16).running(iter(posts)):
        await until(taken, "every post is taken", within=60 + 5 * len(posts) / RATE)
    await road.settled()
    say(f"  {wanted} facts")


async def _postgres(road: Road) -> dict[str, int]:
    """Bytes by schema, dead rows given back first: the outbox is empty most of the time."""
    connection = await asyncpg.connect(road.stack.postgres.url("postgres").replace("+asyncpg", ""))
    await connection.execute("vacuum analyze")
    found = {name: int(size) for name, size in await connection.fetch(BY_SCHEMA)}
    await connection.close()
    return found


def _topics(data: Path) -> dict[str, int]:
    """Bytes of log segments by topic: index files are laid out in advance, mostly empty."""
    sizes: dict[str, int] = {}
    for segment in data.glob("*-*/*.log"):
        topic = segment.parent.name.rpartition("-")[0]
        sizes[topic] = sizes.get(topic, 0) + segment.stat().st_size
    return {topic: size for topic, size in sizes.items() if not topic.startswith("__")}


async def _states(road: Road) -> float:
    """Bytes of the last state of an episode, as the table holds it."""
    consumer = kafka.consumer(Settings(kafka_bootstrap=road.stack.kafka.bootstrap), EPISODES_CHANGELOG.name)
    await consumer.start()
    ends = await consumer.end_offsets(consumer.assignment())
    last: dict[bytes, int] = {}
    while any([await consumer.position(place) < end for place, end in ends.items()]):
        for records in (await consumer.getmany(timeout_ms=200)).values():
            last |= {record.key: len(record.value) for record in records}
    await consumer.stop()
    return sum(last.values()) / len(last)


def _each(after: Mapping[str, int], before: Mapping[str, int], facts: int) -> dict[str, float]:
    return {name: (size - before.get(name, 0)) / facts for name, size in after.items()}


def _listed(sizes: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {size:,.0f}" for name, size in sorted(sizes.items()) if round(size))
