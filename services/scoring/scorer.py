"""One chunk of one partition: decoded, grouped by episode, folded, encoded. What is bad is set aside, one by one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from aiokafka import ConsumerRecord

from schemas.errors import ContractError
from schemas.topics import ALLIANCE_SCORES, DEAD_LETTERS, EPISODES_CHANGELOG
from services.platform import logs
from services.platform.dead_letters import DeadLetterLimit, Origin, RawRecord, dead_letter, fault
from services.scoring import state, wire
from services.scoring.conclusions import Episode, messages
from services.scoring.domain.config import EngineConfig
from services.scoring.domain.facts import Fact
from services.scoring.domain.pinning import pinned
from services.scoring.fitted import FittedEngines
from services.scoring.handlers import Conclusions, on_dead, on_facts, standing
from services.scoring.metrics import Metrics
from services.scoring.ports import Change
from services.scoring.settings import ScoringSettings
from services.scoring.state import Held
from services.scoring.transaction import Writes


@dataclass(frozen=True, slots=True)
class Arrival:
    """A fact, and the record it came in."""

    record: ConsumerRecord
    fact: wire.WireFact


@dataclass(slots=True)
class Gathered:
    """What a chunk has of one episode. `lost` are facts that could not be read, and still say which they were."""

    arrivals: list[Arrival] = field(default_factory=list)
    lost: list[wire.Named] = field(default_factory=list)


@dataclass(slots=True)
class Scored:
    """What follows from one chunk (`services.scoring.lanes.Outcome`)."""

    topics: tuple[str, str, str]
    kept: Callable[[Scored, Mapping[str, int]], None]
    partition: int
    scores: list[RawRecord] = field(default_factory=list)
    states: list[RawRecord] = field(default_factory=list)
    dead: list[RawRecord] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    snapshots: int = 0

    @property
    def writes(self) -> Writes:
        return tuple(zip(self.topics, (self.scores, self.states, self.dead), strict=True))

    def keep(self, written: Mapping[str, int]) -> None:
        self.kept(self, written)


class Table(NamedTuple):
    """The encoded episodes: how to read one, and how to put in what is committed."""

    load: Callable[[bytes], bytes | None]
    apply: Callable[[list[Change]], None]


class EpisodeScorer:
    """The scorer of one worker: reads the table while it works, writes it when all is committed."""

    def __init__(self, settings: ScoringSettings, engines: FittedEngines, table: Table, metrics: Metrics) -> None:
        names = (ALLIANCE_SCORES.name, EPISODES_CHANGELOG.name, DEAD_LETTERS.name)
        self._scores, self._changelog, self._dead = (settings.topic(name) for name in names)
        self._engines = engines
        self._table = table
        self._metrics = metrics
        self._limit = DeadLetterLimit()
        self._log = logs.get("scoring.scorer")

    def score(self, records: list[ConsumerRecord]) -> Scored:
        """What follows from records of one partition, in their order.

        Raises:
            TooManyDeadLetters: too large a share of what arrives is bad.
        """
        topics = (self._scores, self._changelog, self._dead)
        scored = Scored(topics, self._keep, records[0].partition)
        for key, gathered in self._by_episode(records, scored).items():
            self._episode(key, gathered, scored)
        bad = [fault(code, letter.key) for code, letter in zip(scored.codes, scored.dead, strict=True)]
        self._limit.saw(good=len(records) - len(bad), bad=bad)
        return scored

    def _by_episode(self, records: list[ConsumerRecord], scored: Scored) -> dict[bytes, Gathered]:
        grouped: defaultdict[bytes, Gathered] = defaultdict(Gathered)
        for record in records:
            try:
                fact = wire.decode(record.value, record.headers)
            except ContractError as error:
                self._set_aside(scored, record, error.code, error.reason)
                if (lost := wire.named(record.key, record.value)) is not None:
                    grouped[lost.episode_key].lost.append(lost)
                continue
            if fact.type in wire.UNSUPPORTED:
                self._set_aside(scored, record, "unsupported", f"{fact.type} is not acted upon yet")
                continue
            grouped[fact.episode_key].arrivals.append(Arrival(record, fact))
        return grouped

    def _episode(self, key: bytes, gathered: Gathered, scored: Scored) -> None:
        encoded = self._table.load(key)
        try:
            held = state.decode(encoded) if encoded is not None else None
        except Exception as error:  # noqa: BLE001 - dead-letter boundary: one unreadable state must not block its partition
            for arrival in gathered.arrivals:
                self._set_aside(scored, arrival.record, "unreadable-state", type(error).__name__)
            return
        for lost in gathered.lost:
            held = self._lose(held, lost, scored)
        if gathered.arrivals:
            held = self._take(held, gathered.arrivals, scored)
        if held is not None:
            scored.states.append(RawRecord(key, state.encode(held), ()))

    def _take(self, held: Held | None, arrivals: Sequence[Arrival], scored: Scored) -> Held | None:
        """Take in facts together; where that fails, the halves on their own, down to the one that is bad."""
        try:
            facts = [wire.to_domain(arrival.fact) for arrival in arrivals]
            after, said = on_facts(self._engine(arrivals[0].fact, held, facts), held, facts)
            self._say(scored, arrivals[0].fact, said)
        except Exception as error:  # noqa: BLE001 - dead-letter boundary: one bad fact must not block its partition
            if len(arrivals) == 1:
                return self._poison(held, arrivals[0], error, scored)
            middle = len(arrivals) // 2
            return self._take(self._take(held, arrivals[:middle], scored), arrivals[middle:], scored)
        return after

    def _poison(self, held: Held | None, arrival: Arrival, error: Exception, scored: Scored) -> Held:
        self._set_aside(scored, arrival.record, "unprocessable", type(error).__name__)
        self._log.error("a fact could not be taken in", fact_id=arrival.fact.fact_id, exc_info=error)
        return self._lose(held, arrival.fact, scored)

    def _lose(self, held: Held | None, fact: wire.Named, scored: Scored) -> Held:
        """Remember that a fact is missing; the first that is missed makes all that stands say so."""
        engine = self._engine(fact, held)
        after = on_dead(engine, held, fact.fact_id)
        if after.dead and not (held and held.dead):
            try:
                said = standing(engine, after)
            except Exception as error:  # noqa: BLE001 - dead-letter boundary: what cannot be worked out is not said
                self._log.error("an episode could not be worked out anew", fact_id=fact.fact_id, exc_info=error)
                return after
            if said is not None:
                self._say(scored, fact, said)
        return after

    def _engine(self, of: wire.Named, held: Held | None, new: Sequence[Fact] = ()) -> EngineConfig:
        """The clinic's own parameters that this episode is worked out with, or the shipped ones."""
        return pinned(self._engines.of(of.tenant_id), held.episode.facts if held else {}, new)

    def _say(self, scored: Scored, fact: wire.Named, said: Conclusions) -> None:
        scored.scores += messages(Episode.of(fact), said)
        scored.snapshots += 1

    def _set_aside(self, scored: Scored, record: ConsumerRecord, code: str, reason: str) -> None:
        raw = RawRecord(record.key, record.value, tuple(record.headers))
        origin = Origin(record.topic, record.partition, record.offset)
        scored.dead.append(dead_letter(origin, raw, code=code, reason=reason))
        scored.codes.append(code)

    def _keep(self, scored: Scored, written: Mapping[str, int]) -> None:
        at = (self._changelog, scored.partition, written.get(self._changelog, -1))
        self._table.apply([Change(*at, key, value) for key, value, _ in scored.states if key is not None])
        self._metrics.snapshots.inc(scored.snapshots)
        self._metrics.readings.inc(len(scored.scores) - scored.snapshots)
        for code in scored.codes:
            self._metrics.dead_letters.labels(code).inc()
