"""What the trajectory chart draws, one panel for each instrument and rater, as plain data for `static/chart.js`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypedDict

from schemas.events import Appointment, Band, Expectation, Reading
from schemas.instruments import Instrument, UnknownInstrument, index, lookup
from services.alerts.web.records import Alert
from services.alerts.web.words import instrument_name, title, tone

EXPECTED_TAIL = 0.1
"""The expected band leaves out a tenth on either side: 80 %, like the interval of the level."""
_Point = tuple[float | None, Band | None, tuple[float, float] | None]


class Lines(TypedDict):
    """One scale's numbers, a value for each place on the time axis."""

    range: tuple[float, float]
    rating: list[float | None]
    level: list[float | None]
    low: list[float | None]
    high: list[float | None]
    expectedLow: list[float | None]
    expectedHigh: list[float | None]
    surprising: list[bool]
    """On the bad side of what was expected."""


class Flag(TypedDict):
    """An alert, at the session that raised it."""

    x: float
    tone: str
    word: str
    title: str
    standing: bool


class Panel(TypedDict):
    """One chart."""

    id: str
    name: str
    rater: str
    family: str
    lowerIsBetter: bool
    x: list[float]
    own: Lines
    index: Lines
    flags: list[Flag]
    missed: list[float]


@dataclass(frozen=True, slots=True)
class Series:
    """The readings of one instrument by one rater, oldest first; `instrument` is `None` where it is not known."""

    key: str
    rater: str
    instrument: Instrument | None
    readings: tuple[Reading, ...]

    @property
    def id(self) -> str:
        """A name that may stand in HTML ids.

        >>> Series("srs@3", "client", None, ()).id
        'srs-3-client'
        """
        return f"{self.key}-{self.rater}".replace("@", "-").replace(".", "-")


def series(readings: Iterable[Reading]) -> list[Series]:
    """Readings by instrument and rater: alliance before outcome, the client's voice first, then the fullest."""
    by_name = sorted(readings, key=lambda reading: (reading.instrument, reading.rater, reading.occurred_at))
    groups = [
        Series(key, rater, _known(key), tuple(group))
        for (key, rater), group in groupby(by_name, key=lambda reading: (reading.instrument, reading.rater))
    ]
    return sorted(groups, key=_prominence)


def panel(drawn: Series, alerts: Sequence[Alert], appointments: Sequence[Appointment]) -> Panel:
    instrument = drawn.instrument
    return {
        "id": drawn.id,
        "name": instrument_name(drawn.key),
        "rater": drawn.rater,
        "family": instrument.family if instrument else "other",
        "lowerIsBetter": instrument is not None and instrument.direction == "down",
        "x": [reading.occurred_at.timestamp() for reading in drawn.readings],
        "own": _own_lines(drawn),
        "index": _index_lines(drawn),
        "flags": _flags(drawn, alerts),
        "missed": [visit.starts_at.timestamp() for visit in appointments if visit.outcome == "missed"],
    }


def expected_band(expected: Expectation | None) -> tuple[float, float] | None:
    """The middle of what was expected, from the quantiles nearest to a tenth on either side.

    >>> expected_band(Expectation(mean=36.0, quantiles={"0.02": 30.0, "0.1": 33.0, "0.5": 36.4, "0.9": 40.0}))
    (33.0, 40.0)
    """
    if expected is None or len(expected.quantiles) < 2:
        return None
    return _quantile(expected, EXPECTED_TAIL), _quantile(expected, 1 - EXPECTED_TAIL)


def expected_index(drawn: Series, reading: Reading) -> tuple[float, float] | None:
    """The expected band on 0-100, its low end the bad one whichever way the instrument runs."""
    band = expected_band(reading.expected)
    if band is None or drawn.instrument is None:
        return None
    low, high = sorted(index(drawn.instrument, edge) for edge in band)
    return round(low, 2), round(high, 2)


def _known(key: str) -> Instrument | None:
    instrument = lookup(key)
    return None if isinstance(instrument, UnknownInstrument) else instrument


def _prominence(drawn: Series) -> tuple[bool, bool, int, str]:
    alliance = drawn.instrument is not None and drawn.instrument.family == "alliance"
    return not alliance, drawn.rater != "client", -len(drawn.readings), drawn.key


def _quantile(expected: Expectation, probability: float) -> float:
    nearest = min(expected.quantiles, key=lambda name: abs(float(name) - probability))
    return expected.quantiles[nearest]


def _own_lines(drawn: Series) -> Lines:
    instrument = drawn.instrument
    return _lines(
        drawn,
        (instrument.total.low, instrument.total.high) if instrument else _span(drawn),
        [(reading.total, reading.score, expected_band(reading.expected)) for reading in drawn.readings],
    )


def _index_lines(drawn: Series) -> Lines:
    return _lines(
        drawn,
        (0.0, 100.0),
        [(reading.index, reading.score_index, expected_index(drawn, reading)) for reading in drawn.readings],
    )


def _lines(drawn: Series, span: tuple[float, float], points: Sequence[_Point]) -> Lines:
    bands = [_edges(band) for _, band, _ in points]
    expected = [edges or (None, None) for _, _, edges in points]
    return {
        "range": span,
        "rating": [rating for rating, _, _ in points],
        "level": [None if band is None else band.level for _, band, _ in points],
        "low": [low for low, _ in bands],
        "high": [high for _, high in bands],
        "expectedLow": [low for low, _ in expected],
        "expectedHigh": [high for _, high in expected],
        "surprising": [surprising(drawn, reading) for reading in drawn.readings],
    }


def _edges(band: Band | None) -> tuple[float | None, float | None]:
    """An interval turned round by the index is turned back."""
    return (None, None) if band is None else (min(band.low, band.high), max(band.low, band.high))


def surprising(drawn: Series, reading: Reading) -> bool:
    """Whether a rating lies on the bad side of what was expected of it."""
    band = expected_band(reading.expected)
    if band is None or reading.total is None:
        return False
    down = drawn.instrument is not None and drawn.instrument.direction == "down"
    return reading.total > band[1] if down else reading.total < band[0]


def _span(drawn: Series) -> tuple[float, float]:
    totals = [reading.total for reading in drawn.readings if reading.total is not None]
    return (min(totals), max(totals)) if totals else (0.0, 1.0)


def _flags(drawn: Series, alerts: Sequence[Alert]) -> list[Flag]:
    """Alerts on this instrument's own ratings; those about the episode as a whole stand beside the charts."""
    at = {reading.rating_id: reading.occurred_at.timestamp() for reading in drawn.readings}
    return [
        {
            "x": at[alert.rating_id],
            "tone": tone(alert.kind, alert.severity).name,
            "word": tone(alert.kind, alert.severity).word,
            "title": title(alert.kind),
            "standing": alert.standing,
        }
        for alert in alerts
        if alert.rating_id in at and alert.state != "withdrawn"
    ]
