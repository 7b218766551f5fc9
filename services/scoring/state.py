"""What the table holds of one episode, and its bytes.

The facts are kept for ever; the steps made from them only as long as the versions that made them are today's: an older
state is taken as its facts alone, and everything is made anew from them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from services.scoring.domain.config import ENGINE_VERSION
from services.scoring.domain.episode import STATE_VERSION, EpisodeState, Step
from services.scoring.domain.facts import Fact

LAYOUT = 1
"""The layout of the bytes; another one needs a decoder beside this."""


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
    facts: tuple[Fact, ...]
    steps: msgspec.Raw = msgspec.Raw(b"\x90")


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_Head)
_STEPS = msgspec.msgpack.Decoder(tuple[Step, ...])


def encode(held: Held) -> bytes:
    """Linear in the facts held. The same state gives the same bytes."""
    episode = held.episode
    made_by = (episode.engine, episode.fitted_version, episode.version)
    steps = msgspec.Raw(_ENCODER.encode(episode.steps))
    return _ENCODER.encode(_Head(LAYOUT, made_by, tuple(sorted(held.dead)), tuple(episode.facts.values()), steps))


def decode(value: bytes) -> Held:
    """The episode in these bytes.

    Raises:
        UnknownLayout: written by a newer service.
        msgspec.DecodeError: not a state.
    """
    head = _DECODER.decode(value)
    if head.layout != LAYOUT:
        raise UnknownLayout(f"layout {head.layout}, this service knows {LAYOUT}")
    engine, fitted, version = head.made_by
    current = (engine, version) == (ENGINE_VERSION, STATE_VERSION)
    steps = _STEPS.decode(head.steps) if current else ()
    facts = {fact.fact_id: fact for fact in head.facts}
    return Held(EpisodeState(facts, steps, engine, fitted, version), frozenset(head.dead))
