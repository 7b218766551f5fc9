"""Rank 2: the fall since the previous rated session. Transparent, but noisy on its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

STATE_VERSION = 1


@dataclass(frozen=True, slots=True)
class Config:
    """Nothing to set: how large a fall matters is policy's to say."""


class State(NamedTuple):
    previous: float | None
    version: int = STATE_VERSION


class Reading(NamedTuple):
    """Points fallen since the previous rating, negative when risen; `None` for the first."""

    fall: float | None
    previous: float | None


def start(config: Config) -> State:  # noqa: ARG001 - every module of the domain starts alike
    return State(previous=None)


def step(config: Config, state: State, score: float) -> tuple[State, Reading]:  # noqa: ARG001 - likewise
    """Take in one rating.

    >>> state, _ = step(Config(), start(Config()), 38.5)
    >>> step(Config(), state, 33.0)[1].fall
    5.5
    """
    fall = None if state.previous is None else state.previous - score
    return State(score), Reading(fall, state.previous)
