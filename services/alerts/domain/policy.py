"""Policy as data: which number of which detector is worth a word, and how loud. Scoring knows nothing of it.

`fic-default-2` is live: the evidence that the alliance changed (rank 1), as spike or as slide, and a strict drift chart
(rank 3). `fic-default-1` is what it replaced: docs/clinical/policy.md says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Unit = Literal["span", "absolute"]
Comparison = Literal["gt", "ge", "lt"]
Severity = Literal["info", "amber", "red", "urgent"]


@dataclass(frozen=True, slots=True)
class Bound:
    """One condition on a signal: its `value`, or one of its details, against a threshold.

    With `unit = span` the threshold is a share of the instrument's range.
    """

    of: str
    comparison: Comparison
    threshold: float
    unit: Unit = "absolute"

    def on(self, span: float) -> float:
        """The threshold on an instrument's own scale.

        >>> Bound("value", "ge", 0.075, "span").on(40)
        3.0
        """
        return self.threshold * span if self.unit == "span" else self.threshold

    def holds(self, number: float, span: float) -> bool:
        limit = self.on(span)
        return {"gt": number > limit, "ge": number >= limit, "lt": number < limit}[self.comparison]


@dataclass(frozen=True, slots=True)
class Rule:
    """All bounds must hold. `max_clients`: the rule retires for the whole clinic when it has that many."""

    name: str
    rank: int
    kind: str
    detector: str
    bounds: tuple[Bound, ...]
    max_clients: int | None = None


@dataclass(frozen=True, slots=True)
class Escalation:
    """What makes an amber red: persistence and absence, not size."""

    signals: int = 2
    of_sessions: int = 3
    low_index: float = 75.0
    unrepaired_sessions: int = 3


@dataclass(frozen=True, slots=True)
class Recovery:
    """When an alert no longer holds: back near the level before, some sessions in a row.

    Or settled: for many sessions the ratings have been what is by now expected of this client. That was news once.
    """

    drop_share: float = 0.25
    span_share: float = 0.05
    sessions: int = 2
    settled_sessions: int = 6


@dataclass(frozen=True, slots=True)
class Progress:
    """When an outcome is worth a word (rank 7).

    Amber: so far below what is usual from such a beginning, and no better than it. Red: reliably worse than it. Gone
    after so many scores in a row of which neither is true.
    """

    below_sds: float = 0.67
    from_scores: int = 3
    calm_scores: int = 2


@dataclass(frozen=True, slots=True)
class Leaving:
    """When a clinic's own hazard of dropout is worth a word: at its line, and at least so likely within three."""

    least_chance: float = 0.2


@dataclass(frozen=True, slots=True)
class Policy:
    """One version of one policy; a change is a new version."""

    name: str
    rules: tuple[Rule, ...]
    cooldown_sessions: int = 3
    escalation: Escalation = Escalation()
    recovery: Recovery = Recovery()
    early_no_show: bool = True
    progress: Progress | None = None
    leaving: Leaving | None = None


ORDINARY_SHARE: Final = 0.01
"""One ordinary session in a hundred may set off rank 1."""
LEAST_DROP: Final = Bound("drop", "ge", 0.05, "span")
"""However sure the engine is: less than that is not worth a conversation."""
SPIKE = Rule(
    name="rupture-evidence",
    rank=1,
    kind="rupture-possible",
    detector="rupture-evidence",
    bounds=(Bound("rate", "lt", ORDINARY_SHARE), LEAST_DROP, Bound("slide", "lt", 0.5)),
)
SLIDE = Rule(
    name="slide-evidence",
    rank=1,
    kind="slow-decline",
    detector="rupture-evidence",
    bounds=(Bound("rate", "lt", ORDINARY_SHARE), LEAST_DROP, Bound("slide", "ge", 0.5)),
)
STRICT_DRIFT = Rule(
    name="drift",
    rank=3,
    kind="slow-decline",
    detector="drift",
    bounds=(Bound("value", "gt", 3.0),),
)
TOBIT = Rule(
    name="predictive-drop",
    rank=1,
    kind="rupture-possible",
    detector="predictive-drop",
    bounds=(Bound("tail_probability", "lt", 0.02), Bound("value", "ge", 0.075, "span")),
)
FALL = Rule(
    name="reliable-drop",
    rank=2,
    kind="rupture-possible",
    detector="reliable-drop",
    bounds=(Bound("value", "ge", 0.125, "span"),),
)
FALLBACK = Rule(FALL.name, FALL.rank, FALL.kind, FALL.detector, FALL.bounds, max_clients=200)
DRIFT = Rule(
    name="drift",
    rank=3,
    kind="slow-decline",
    detector="drift",
    bounds=(Bound("value", "gt", 2.5),),
)
ANY_PROMPT = Rule(
    name="openfit",
    rank=5,
    kind="rupture-possible",
    detector="level",
    bounds=(Bound("value", "gt", 0.0),),
)

DEFAULT: Final = Policy("fic-default-2", (SPIKE, SLIDE, STRICT_DRIFT), progress=Progress(), leaving=Leaving())
FIRST: Final = Policy("fic-default-1", (TOBIT, FALLBACK, DRIFT))
HIGH_SENS: Final = Policy("high-sens-1", (TOBIT, FALL, DRIFT))
OPENFIT: Final = Policy("openfit-compatible-1", (ANY_PROMPT,), cooldown_sessions=1)


def _convention(name: str, detector: str, bound: Bound) -> Policy:
    return Policy(f"{name}-1", (Rule(name, 5, "rupture-possible", detector, (bound,)),))


CONVENTIONS: Final = (
    _convention("cut-off", "level", Bound("crossed", "ge", 1.0)),
    _convention("item-cut-off", "level", Bound("items_below", "ge", 1.0)),
    *(
        _convention(f"drop-{points}", "reliable-drop", Bound("value", "ge", points / 40, "span"))
        for points in (3, 5, 6)
    ),
)
"""What clinics go by today, one rule each: to begin with what is known, to shadow, or to hold another against."""
POLICIES: Final[Mapping[str, Policy]] = {
    policy.name: policy for policy in (DEFAULT, FIRST, HIGH_SENS, OPENFIT, *CONVENTIONS)
}


def live_rules(policy: Policy, clients: int) -> tuple[Rule, ...]:
    """The rules that speak in a clinic of this size.

    >>> [rule.name for rule in live_rules(FIRST, 199)], [rule.name for rule in live_rules(FIRST, 200)]
    (['predictive-drop', 'reliable-drop', 'drift'], ['predictive-drop', 'drift'])
    """
    return tuple(rule for rule in policy.rules if rule.max_clients is None or clients < rule.max_clients)
