"""Facts of one episode in, what to say about it out. Pure.

**A fact held already changes nothing and is answered again**: its snapshot always, its reading where the fact is the
one that counts for its rating. So a replay, a retry or a restart repeats answers that may have been lost, and what it
repeats is equal to what was said (readers keep the latest revision).

**Every reading says whether its episode is complete**: where that changes, all of them are said again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from services.scoring.domain import episode
from services.scoring.domain.config import EngineConfig
from services.scoring.domain.episode import EpisodeState, Snapshot
from services.scoring.domain.facts import IDENTITY, Fact
from services.scoring.domain.series import Reading
from services.scoring.state import Held


@dataclass(frozen=True, slots=True)
class Conclusions:
    """What is said after some facts of one episode. `incomplete`: some of its facts could not be taken in."""

    snapshot: Snapshot
    readings: tuple[Reading, ...]
    withdrawn: tuple[str, ...]
    facts_held: int
    engine: int
    incomplete: bool
    causes: tuple[Fact, ...]

    def caused(self, rating_id: str) -> list[str]:
        """The facts among the causes that are versions of this rating."""
        return [fact.fact_id for fact in self.causes if fact.record_id == rating_id]


def on_facts(config: EngineConfig, held: Held | None, facts: Sequence[Fact]) -> tuple[Held, Conclusions]:
    """Take in facts (at least one) and say what follows."""
    before = held or Held(episode.start(config))
    repeated = [fact.fact_id for fact in facts if fact.fact_id in before.episode.facts]
    after, result = episode.step(config, before.episode, facts)
    if result is None:
        raise ValueError("on_facts needs at least one fact")
    dead = before.dead - {fact.fact_id for fact in facts} - after.course.dropped
    whole = (before.dead and not dead) or any(fact.kind in IDENTITY for fact in facts)
    again = after.facts if whole else repeated
    readings = result.readings + _again(config, after, again, result.readings)
    return Held(after, dead), Conclusions(
        snapshot=result.snapshot,
        readings=readings,
        withdrawn=result.withdrawn,
        facts_held=result.facts_held,
        engine=after.engine,
        incomplete=bool(dead),
        causes=tuple({fact.fact_id: fact for fact in facts}.values()),
    )


def on_dead(config: EngineConfig, held: Held | None, fact_id: str) -> Held:
    """Remember that a fact of this episode could not be taken in, until it is; one held or dropped is not missed."""
    before = held or Held(episode.start(config))
    known = fact_id in before.episode.course.dropped or fact_id in before.episode.facts
    return before if known else Held(before.episode, before.dead | {fact_id})


def standing(config: EngineConfig, held: Held) -> Conclusions | None:
    """All that stands of an episode, to be said again because it is no longer complete; `None` where nothing does."""
    after, result = episode.step(config, episode.start(config), list(held.episode.facts.values()))
    if result is None:
        return None
    return Conclusions(
        snapshot=result.snapshot,
        readings=result.readings,
        withdrawn=(),
        facts_held=result.facts_held,
        engine=after.engine,
        incomplete=bool(held.dead),
        causes=(),
    )


def _again(
    config: EngineConfig, state: EpisodeState, repeated: Iterable[str], said: Sequence[Reading]
) -> tuple[Reading, ...]:
    """The readings of repeated facts: made anew from all facts, which gives the same numbers."""
    wanted = set(repeated) - {reading.fact_id for reading in said}
    if not any(each in state.facts and state.facts[each].rating for each in wanted):
        return ()
    whole = episode.read_episode(config, list(state.facts.values()))
    return tuple(reading for reading in whole.readings if reading.fact_id in wanted) if whole else ()
