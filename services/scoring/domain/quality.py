"""Ratings to ask about before believing them: a slider set wrongly looks like a crisis, and a crisis like that."""

from __future__ import annotations

from typing import Final

from schemas.instruments import Instrument, Scale
from services.scoring.domain.facts import Rating

RUSHED_SECONDS: Final = 5.0
LOW_FIRST_SHARE: Final = 0.65
"""Of the span: 26 of 40 on the SRS, the lowest first rating that is still usual."""


MIRRORED_DROP_SHARE: Final = 0.5
MIRRORED_WITHIN_SHARE: Final = 0.1
"""Of the span: a rating this far below usual, and its mirror image this near to it: a scale read backwards?"""


def flags(
    instrument: Instrument, rating: Rating, score: float | None, *, expected: float | None, first: bool
) -> tuple[str, ...]:
    """What speaks for a slip of the hand; `score` and `expected` run upwards.

    >>> from schemas.instruments import lookup
    >>> srs = lookup("srs@3")
    >>> worst = Rating("srs@3", "client", {item.code: 0.0 for item in srs.items}, seconds_to_complete=3.0)
    >>> flags(srs, worst, 0.0, expected=None, first=True)
    ('rushed', 'all-items-at-worst', 'low-first-rating')
    >>> flags(srs, Rating("srs@3", "client", total=3.0), 3.0, expected=38.0, first=False)
    ('mirrored',)
    """
    scale = instrument.total
    seconds = rating.seconds_to_complete
    low = scale.low + LOW_FIRST_SHARE * scale.span
    checks = (
        ("rushed", seconds is not None and seconds < RUSHED_SECONDS),
        ("all-items-at-worst", bool(rating.items) and score is not None and score <= scale.low),
        ("low-first-rating", instrument.family == "alliance" and first and score is not None and score < low),
        ("mirrored", score is not None and expected is not None and _mirrored(scale, score, expected)),
    )
    return tuple([name for name, holds in checks if holds])


def _mirrored(scale: Scale, score: float, expected: float) -> bool:
    far = expected - score >= MIRRORED_DROP_SHARE * scale.span
    return far and abs(scale.low + scale.high - score - expected) <= MIRRORED_WITHIN_SHARE * scale.span
