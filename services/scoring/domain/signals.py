"""Each detector's number with its reason in words, for a clinician to read. Positive is worse, on every detector.

Wording: what was seen and against what; never a diagnosis, never "rupture detected".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from services.scoring.domain import discrepancy, drift, drop, level, off_track, rolling, rupture

RUPTURE_EVIDENCE: Final = "rupture-evidence"
PREDICTIVE_DROP: Final = "predictive-drop"
RELIABLE_DROP: Final = "reliable-drop"
DRIFT: Final = "drift"
LEVEL: Final = "level"
OFF_TRACK: Final = "off-track"
DISCREPANCY: Final = "discrepancy"
_SIDE: Final = {"lt": "below", "le": "at or below", "ge": "at or above", "gt": "above"}


@dataclass(frozen=True, slots=True)
class Signal:
    """`value` is `None` where the detector cannot know yet, and `reason` then says why."""

    detector: str
    value: float | None
    unit: str
    reason: str
    details: Mapping[str, float | None] = field(default_factory=dict)


class Seen(NamedTuple):
    """What the parts of a series made of one rating."""

    rolling: rolling.Reading
    rupture: rupture.Reading | None
    drop: drop.Reading
    drift: drift.Reading
    level: level.Reading
    track: off_track.Reading | None = None


def published(value: float) -> float:
    """Rounded to 1e-6, and never -0.0."""
    return round(value, 6) + 0.0


def rupture_evidence(seen: Seen) -> Signal:
    """Rank 1: how much likelier this rating is if the alliance has just changed than if it has not."""
    expected = seen.rolling.expected
    if seen.rupture is None or expected is None:
        return Signal(RUPTURE_EVIDENCE, None, "nats", "first rating: nothing to compare with yet")
    evidence = seen.rupture.evidence
    details = {
        "rate": published(evidence.rate),
        "probability": published(evidence.probability),
        "slide": published(evidence.slide),
        "drop": published(expected.drop),
        "expected": published(expected.mean),
        **{f"ordinary_{share:g}": score for share, score in seen.rupture.bounds},
    }
    return Signal(RUPTURE_EVIDENCE, published(evidence.log_ratio), "nats", _rarity(evidence, expected), details)


def predictive_drop(seen: Seen) -> Signal:
    """Rank 1: how far below what this client's own past led to expect."""
    expected = seen.rolling.expected
    if expected is None:
        return Signal(PREDICTIVE_DROP, None, "points", "first rating: nothing to compare with yet")
    details = {
        "tail_probability": published(expected.tail_probability),
        "expected": published(expected.mean),
        "learned_from": float(seen.rolling.learned_from),
    }
    return Signal(PREDICTIVE_DROP, published(expected.drop), "points", _against_usual(expected.drop), details)


def reliable_drop(seen: Seen) -> Signal:
    """Rank 2: the fall since the previous rated session."""
    fall = seen.drop.fall
    if fall is None:
        return Signal(RELIABLE_DROP, None, "points", "first rating: no previous session to compare with")
    return Signal(RELIABLE_DROP, published(fall), "points", _against_previous(fall))


def slow_drift(seen: Seen) -> Signal:
    """Rank 3: how far recent sessions together lie below this client's usual."""
    reading = seen.drift
    if reading.below_sds is None or reading.ewma is None or reading.usual is None or reading.spread is None:
        return Signal(DRIFT, None, "sd", "first rating: no course to compare with yet")
    details = {
        "ewma": published(reading.ewma),
        "usual": published(reading.usual),
        "spread": published(reading.spread),
        "sessions": float(reading.sessions),
    }
    side = "below" if reading.below_sds > 0 else "at or above"
    reason = f"recent sessions together {abs(reading.below_sds):.1f} SD {side} this client's usual"
    return Signal(DRIFT, published(reading.below_sds), "sd", reason, details)


def check_in(seen: Seen) -> Signal:
    """Rank 5: how many things there are to ask about in the session."""
    reading = seen.level
    prompts = _prompts(reading, seen.drop.fall)
    details = {
        "cutoff": reading.cutoff.value if reading.cutoff else None,
        "crossed": None if reading.crossed is None else float(reading.crossed),
        "items_below": None if reading.items_crossed is None else float(reading.items_crossed),
        "fell": float(reading.fell),
    }
    return Signal(LEVEL, float(len(prompts)), "prompts", "; ".join(prompts) or "nothing stands out", details)


def outcome(seen: Seen) -> Signal:
    """Rank 7: how far an outcome lies below what is usual from such a beginning, and whether it is reliably worse."""
    track = seen.track
    if track is None or track.track == "too early":
        return Signal(OFF_TRACK, None, "sd", "first score: nothing to compare with yet")
    details = {
        "worse_by": published(-track.change),
        "deteriorated": float(track.deteriorated),
        "reliable": float(track.reliable),
        "scores": float(track.scores),
        "expected": None if track.expected is None else published(track.expected),
    }
    value = None if track.below_sds is None else published(track.below_sds)
    return Signal(OFF_TRACK, value, "sd", track.reason, details)


def two_views(seen: discrepancy.Reading) -> Signal | None:
    """Rank 9: how the client's and the therapist's views have moved apart; `None` where there is nothing to compare."""
    if seen.fall is None or seen.since is None:
        return None
    return Signal(DISCREPANCY, published(seen.fall), "sd", seen.reason)


Detector = Callable[[Seen], Signal]
DETECTORS: Final[tuple[Detector, ...]] = (rupture_evidence, predictive_drop, reliable_drop, slow_drift, check_in)
"""For alliance measures. Every one obeys the laws of tests/property/test_scoring_detectors.py."""
OUTCOME_DETECTORS: Final[tuple[Detector, ...]] = (outcome, check_in)
"""For outcome measures a fall is no strain of the alliance: it is held against where this client began."""


def _rarity(evidence: rupture.Evidence, expected: rolling.Expected) -> str:
    """Against this client's usual, and where that is rare, how rare."""
    against = _against_usual(expected.drop)
    if evidence.rate >= 0.1:
        return against
    course = " after a slide over several sessions" if evidence.slide >= 0.5 else ""
    return f"{against}{course}, as in about one ordinary session in {one_in(evidence.rate)}"


def one_in(rate: float) -> str:
    """A share as people say it: two digits are all it is worth.

    >>> one_in(0.04), one_in(0.0068), one_in(0.00001)
    ('25', '150', 'a thousand or more')
    """
    return "a thousand or more" if rate <= 0.001 else f"{float(f'{1 / rate:.2g}'):.0f}"


def _against_usual(drop_in_points: float) -> str:
    if abs(drop_in_points) < 0.05:
        return "at this client's usual"
    return f"{abs(drop_in_points):.1f} {'below' if drop_in_points > 0 else 'above'} this client's usual"


def _against_previous(fall_in_points: float) -> str:
    if abs(fall_in_points) < 0.05:
        return "as in the previous rated session"
    return f"{abs(fall_in_points):.1f} {'below' if fall_in_points > 0 else 'above'} the previous rated session"


def _prompts(reading: level.Reading, fall: float | None) -> list[str]:
    said = []
    if reading.crossed and reading.cutoff:
        said.append(f"total {_SIDE[reading.cutoff.comparator]} the conventional {reading.cutoff.value:g}")
    if reading.items_crossed and reading.item_cutoff:
        items = "1 item" if reading.items_crossed == 1 else f"{reading.items_crossed} items"
        said.append(f"{items} {_SIDE[reading.item_cutoff.comparator]} the conventional {reading.item_cutoff.value:g}")
    if reading.fell and fall is not None:
        said.append(f"{fall:.1f} points worse than the time before")
    return said
