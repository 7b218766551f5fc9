"""The life of an alert: one table, and whatever is not in it is refused with what would be allowed.

Withdrawn is what a correction took the ground from; cleared is what was true and is no longer. Nothing is ever deleted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

State = Literal["open", "acknowledged", "resolved", "withdrawn", "cleared"]
Action = Literal["acknowledge", "resolve", "withdraw", "clear", "reopen"]
STANDING: Final[tuple[State, ...]] = ("open", "acknowledged")

TRANSITIONS: Final[dict[tuple[State, Action], State]] = {
    ("open", "acknowledge"): "acknowledged",
    ("open", "resolve"): "resolved",
    ("open", "withdraw"): "withdrawn",
    ("open", "clear"): "cleared",
    ("acknowledged", "resolve"): "resolved",
    ("acknowledged", "withdraw"): "withdrawn",
    ("acknowledged", "clear"): "cleared",
    ("withdrawn", "reopen"): "open",
    ("cleared", "reopen"): "open",
    ("cleared", "resolve"): "resolved",
}
"""A resolved alert stays resolved: a person has spoken."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The action is not possible in this state; `allowed` is."""

    state: State
    action: Action
    allowed: tuple[Action, ...]


def transition(state: State, action: Action) -> State | Refusal:
    """The state after the action, or why not.

    >>> transition("open", "acknowledge")
    'acknowledged'
    >>> transition("resolved", "acknowledge")
    Refusal(state='resolved', action='acknowledge', allowed=())
    """
    after = TRANSITIONS.get((state, action))
    if after is not None:
        return after
    return Refusal(state, action, tuple(each for (at, each) in TRANSITIONS if at == state))
