"""Ratings to ask about before believing them: a slider set wrongly looks like a crisis, and a crisis like that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from schemas.instruments import Instrument

RUSHED_SECONDS: Final = 5.0
LOW_FIRST_SHARE: Final = 0.65
"""Of the span: 26 of 40 on the SRS, the lowest first rating that is still usual."""


def flags(
    instrument: Instrument,
    items: Mapping[str, float | None],
    seconds: float | None,
    score: float | None,
    *,
    first: bool,
) -> tuple[str, ...]:
    """What speaks for a slip of the hand; `score` runs upwards.

    >>> from schemas.instruments import lookup
    >>> srs = lookup("srs@3")
    >>> flags(srs, {item.code: 0.0 for item in srs.items}, 3.0, 0.0, first=True)
    ('rushed', 'all-items-at-worst', 'low-first-rating')
    """
    scale = instrument.total
    low = scale.low + LOW_FIRST_SHARE * scale.span
    checks = (
        ("rushed", seconds is not None and seconds < RUSHED_SECONDS),
        ("all-items-at-worst", bool(items) and score is not None and score <= scale.low),
        ("low-first-rating", instrument.family == "alliance" and first and score is not None and score < low),
    )
    return tuple(name for name, holds in checks if holds)
