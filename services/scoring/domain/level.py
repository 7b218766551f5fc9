"""Rank 5: worth asking about in the session, never an alert: below the convention, an item below it, or a small fall.

The convention is the vendor's, not a clinical cut-off: no alliance measure has one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import ge, gt, le, lt
from typing import NamedTuple

from schemas.instruments import Cutoff, Instrument

_COMPARE = {"lt": lt, "le": le, "ge": ge, "gt": gt}


@dataclass(frozen=True, slots=True)
class Config:
    """`fall`: from how many points of fall on to ask."""

    fall: float


class Reading(NamedTuple):
    """What there is to ask about; `None` where the instrument has no such line."""

    cutoff: Cutoff | None
    crossed: bool | None
    item_cutoff: Cutoff | None
    items_crossed: int | None
    fell: bool


def read(
    config: Config, instrument: Instrument, total: float, items: Mapping[str, float | None], fall: float | None
) -> Reading:
    """Hold one rating against the instrument's conventions.

    >>> from schemas.instruments import lookup
    >>> seen = read(Config(1.0), lookup("srs@3"), 36.0, {"overall": 8.9}, 0.4)
    >>> seen.crossed, seen.items_crossed, seen.fell
    (False, 1, False)
    """
    cutoff = instrument.cutoffs[0] if instrument.cutoffs else None
    return Reading(
        cutoff=cutoff,
        crossed=crosses(cutoff, total) if cutoff else None,
        item_cutoff=instrument.item_cutoff,
        items_crossed=_items_crossed(instrument.item_cutoff, items),
        fell=fall is not None and fall >= config.fall,
    )


def crosses(cutoff: Cutoff, value: float) -> bool:
    """Whether a value is on the bad side, by the cut-off's own comparator.

    >>> from schemas.instruments import lookup
    >>> crosses(lookup("srs@3").cutoffs[0], 36.0), crosses(lookup("phq-9@1").cutoffs[0], 10.0)
    (False, True)
    """
    return bool(_COMPARE[cutoff.comparator](value, cutoff.value))


def _items_crossed(cutoff: Cutoff | None, items: Mapping[str, float | None]) -> int | None:
    answers = [value for value in items.values() if value is not None]
    return sum(crosses(cutoff, value) for value in answers) if cutoff and answers else None
