"""What the table holds of one episode, and its bytes.

The facts are kept for ever; the steps made from them only as long as the versions that made them are today's: an older
state is taken as its facts alone, and everything is made anew from them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from schemas.instruments import Rater
from services.scoring.domain.config import ENGINE_VERSION
from services.scoring.domain.episode import STATE_VERSION, EpisodeState, Step, restored
from services.scoring.domain.facts import Clock, Fact, Kind, Rating

LAYOUT = 2
"""The layout of the bytes: rows. 1, of the first release, had names in every fact and is still read."""


@dataclass(frozen=True, slots=True)
class Held:
    """An episode, and the ids of its facts that lie among the dead letters."""

    episode: EpisodeState
    dead: frozenset[str] = field(default_factory=frozenset)


class UnknownLayout(ValueError):
    """Written by a newer scoring service: this one must not touch it."""


class _Head(msgspec.Struct, array_like=True, frozen=True):
    layout: int
    made_by: tuple[int, int, int]
    dead: tuple[str, ...]
    facts: msgspec.Raw
    steps: msgspec.Raw = msgspec.Raw(b"\x90")


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_Head)
_FACTS = msgspec.msgpack.Decoder(tuple[Fact, ...])
_STEPS = msgspec.msgpack.Decoder(tuple[Step, ...])


def encode(held: Held) -> bytes:
    """Linear in the facts held. The same state gives the same bytes."""
    episode = held.episode
    made_by = (episode.engine, episode.fitted_version, episode.version)
    facts = msgspec.Raw(_ENCODER.encode(tuple(episode.facts.values())))
    steps = msgspec.Raw(_ENCODER.encode(episode.steps))
    return _ENCODER.encode(_Head(LAYOUT, made_by, tuple(sorted(held.dead)), facts, steps))


def decode(value: bytes) -> Held:
    """The episode in these bytes.

    Raises:
        UnknownLayout: written by a newer service.
        msgspec.DecodeError: not a state.
    """
    head = _DECODER.decode(value)
    if head.layout > LAYOUT:
        raise UnknownLayout(f"layout {head.layout}, this service knows {LAYOUT}")
    facts = _FACTS.decode(head.facts) if head.layout == LAYOUT else _first_layout(head.facts)
    engine, _, version = head.made_by
    current = (head.layout, engine, version) == (LAYOUT, ENGINE_VERSION, STATE_VERSION)
    steps = _STEPS.decode(head.steps) if current else ()
    made_by = head.made_by if current else _NOBODY
    return Held(restored({fact.fact_id: fact for fact in facts}, steps, made_by), frozenset(head.dead))


_NOBODY = (0, 0, 0)
"""Made by no version: everything is made anew from the facts."""


# ------------------------------------------------------------------ the first layout, until no changelog has it


class _NamedRating(msgspec.Struct):
    instrument: str
    rater: Rater
    items: dict[str, float | None]
    total: float | None
    seconds_to_complete: float | None


class _NamedFact(msgspec.Struct):
    fact_id: str
    record_id: str
    version: int
    kind: Kind
    occurred_at: int
    recorded_at: int
    session_id: str | None
    clinician_id: str | None
    historical: bool
    clock: Clock
    rating: _NamedRating | None
    starts_at: int | None


_NAMED = msgspec.msgpack.Decoder(tuple[_NamedFact, ...])


def _first_layout(facts: msgspec.Raw) -> tuple[Fact, ...]:
    return tuple([_row(fact) for fact in _NAMED.decode(facts)])


def _row(fact: _NamedFact) -> Fact:
    rating = Rating(*msgspec.structs.astuple(fact.rating)) if fact.rating else None
    return Fact(*msgspec.structs.astuple(fact))._replace(rating=rating)
