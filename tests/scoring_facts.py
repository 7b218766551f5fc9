"""Facts of made-up care for the tests of scoring, and what a reader of its conclusions ends with."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from aiokafka import ConsumerRecord

from schemas import codec, events
from schemas.topics import ALLIANCE_SCORES, SESSION_EVENTS
from services.platform.dead_letters import RawRecord
from services.scoring.fitted import FittedEngines
from services.scoring.metrics import Metrics
from services.scoring.ports import Change
from services.scoring.scorer import EpisodeScorer, Scored, Table
from services.scoring.settings import ScoringSettings

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
ITEMS = ("relationship", "goals_and_topics", "approach_or_method", "overall")


def uuid_from(rng: random.Random) -> UUID:
    return UUID(int=rng.getrandbits(128), version=4)


def caseload(seed: int, clients: int, sessions: int) -> list[events.Fact]:
    """Everything recorded for some clients: rated and missed sessions, corrections, retractions; oldest first."""
    rng = random.Random(seed)
    tenant = uuid_from(rng)
    facts = [fact for _ in range(clients) for fact in _client(rng, tenant, sessions)]
    return sorted(facts, key=lambda fact: (fact.recorded_at, fact.fact_id))


def _client(rng: random.Random, tenant: UUID, sessions: int) -> Iterable[events.Fact]:
    whose: dict[str, Any] = {"tenant_id": tenant, "client_id": uuid_from(rng), "episode_id": uuid_from(rng)}
    whose["clinician_id"] = uuid_from(rng)
    yield events.EpisodeOpened(**_ids(rng), **_at(START), **whose)
    for week in range(sessions):
        yield from _session(rng, START + timedelta(weeks=week), whose)


def _session(rng: random.Random, at: datetime, whose: Mapping[str, Any]) -> Iterable[events.Fact]:
    session = uuid_from(rng)
    if rng.random() < 0.1:
        yield events.SessionMissed(**_ids(rng), **_at(at), **whose, session_id=session, starts_at=at)
        return
    yield events.SessionAttended(**_ids(rng), **_at(at), **whose, session_id=session, starts_at=at)
    rating = _ids(rng)
    form: dict[str, Any] = {"instrument": "srs@3", "rater": "client", "session_id": session}
    yield events.RatingSubmitted(**rating, **_at(at), **whose, **form, items=_answers(rng))
    again: dict[str, Any] = {"fact_id": uuid_from(rng), "record_id": rating["record_id"], "version": 2}
    chance = rng.random()
    if chance < 0.1:
        yield events.RatingAmended(**again, **_at(at, later=3), **whose, **form, items=_answers(rng))
    elif chance < 0.13:
        yield events.RatingRetracted(**again, **_at(at, later=3), **whose)


def _ids(rng: random.Random) -> dict[str, Any]:
    return {"fact_id": uuid_from(rng), "record_id": uuid_from(rng)}


def _at(occurred: datetime, later: int = 0) -> dict[str, Any]:
    return {"occurred_at": occurred, "recorded_at": occurred + timedelta(hours=1, days=later)}


def _answers(rng: random.Random) -> dict[str, float | None]:
    return {item: rng.randint(60, 100) / 10 for item in ITEMS}


def as_record(fact: events.Fact, offset: int = 0, partition: int = 0) -> ConsumerRecord:
    """The fact as the consumer would hand it over."""
    record = codec.encode_fact(fact)
    return consumed(record.key, record.value, record.headers, offset=offset, partition=partition)


def consumed(
    key: bytes | None,
    value: bytes | None,
    headers: Sequence[tuple[str, bytes]] = (),
    *,
    offset: int = 0,
    partition: int = 0,
) -> ConsumerRecord:
    return ConsumerRecord(
        topic=SESSION_EVENTS.name,
        partition=partition,
        offset=offset,
        timestamp=0,
        timestamp_type=0,
        key=key,
        value=value,
        checksum=None,
        serialized_key_size=0,
        serialized_value_size=0,
        headers=tuple(headers),
    )


@dataclass
class Bench:
    """The scorer on a table that is a dictionary: everything but Kafka."""

    table: dict[bytes, bytes | None] = field(default_factory=dict)
    said: list[RawRecord] = field(default_factory=list)
    dead: list[RawRecord] = field(default_factory=list)
    metrics: Metrics = field(default_factory=Metrics)
    engines: FittedEngines = field(default_factory=FittedEngines)

    def __post_init__(self) -> None:
        self.scorer = EpisodeScorer(ScoringSettings(), self.engines, Table(self.table.get, self._apply), self.metrics)

    def _apply(self, changes: list[Change]) -> None:
        self.table.update((change.key, change.value) for change in changes)

    def take(self, records: list[ConsumerRecord]) -> Scored:
        """One chunk, committed."""
        scored = self.scorer.score(records)
        scored.keep({})
        self.said += scored.scores
        self.dead += scored.dead
        return scored

    def restarted(self) -> Bench:
        """Another worker that recovered this one's table, and what both said."""
        return Bench(dict(self.table), list(self.said), list(self.dead))


ENVELOPE = {"revision", "causes", "known_at", "clock"}


def latest(values: Iterable[bytes]) -> dict[UUID, dict[str, Any]]:
    """The readings that stand for somebody who keeps the latest revision of each: what "equal readings" compares.

    Every value is judged by the contract on the way.
    """
    standing: dict[UUID, events.Reading | events.ReadingWithdrawn] = {}
    for value in values:
        said = codec.decode(ALLIANCE_SCORES, value)
        if isinstance(said, events.EpisodeSnapshot):
            continue
        held = standing.get(said.rating_id)
        if held is None or _revision(said) >= _revision(held):
            standing[said.rating_id] = said
    readings = [said for said in standing.values() if isinstance(said, events.Reading)]
    return {said.rating_id: said.model_dump(exclude=ENVELOPE) for said in readings}


def _revision(said: events.Conclusion) -> tuple[int, int]:
    return (said.revision.engine, said.revision.facts)


def undisturbed(facts: Sequence[events.Fact]) -> dict[UUID, dict[str, Any]]:
    """The readings after all these facts, taken in at once by a worker that nothing happens to."""
    bench = Bench()
    bench.take([as_record(fact, offset) for offset, fact in enumerate(facts)])
    return latest(record.value for record in bench.said if record.value is not None)
