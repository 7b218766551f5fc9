"""What decisions are made from: the latest reading of each rating, the episode as it stands, and what people did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Literal, NamedTuple
from uuid import UUID

Act = Literal["acknowledged", "resolved"]


class Number(NamedTuple):
    """One detector's signal: its value, its details, its reason in words."""

    value: float | None
    reason: str
    details: Mapping[str, float | None] = MappingProxyType({})

    def of(self, name: str) -> float | None:
        return self.value if name == "value" else self.details.get(name)


@dataclass(frozen=True, slots=True)
class Rated:
    """One rating's reading. Alliance measures all run upwards; `better` is -1 on a scale where less is better."""

    rating_id: UUID
    session: str
    at: datetime
    instrument: str
    rater: str
    span: float
    step: float
    total: float | None
    index: float | None
    numbers: Mapping[str, Number]
    quantiles: Mapping[str, float] = field(default_factory=dict)
    historical: bool = False
    recorded_at: datetime | None = None
    family: Literal["alliance", "outcome"] = "alliance"
    better: int = 1

    @property
    def place(self) -> tuple[datetime, str, str, UUID]:
        return (self.at, self.session, self.instrument, self.rating_id)


class Forecast(NamedTuple):
    """How likely it was, as a session ended, that the client leaves within three; `since` as in `DropoutForecast`."""

    session: str
    number: int
    at: datetime
    within_three: float
    line: float
    since: str | None
    otherwise: float | None
    reason: str
    historical: bool = False


@dataclass(frozen=True, slots=True)
class Episode:
    """The episode as a whole."""

    episode_id: UUID
    is_open: bool
    closed_at: datetime | None = None
    known_at: datetime | None = None
    last_attended_at: datetime | None = None
    attended: int = 0
    missed_before_third: bool = False
    missed_at: tuple[datetime, ...] = ()
    silent_amber_at: datetime | None = None
    silent_red_at: datetime | None = None
    silence_reason: str | None = None
    forecast: Forecast | None = None
    merged_into: UUID | None = None
    """The episode that has everything of this one now: its client was found to be that one's."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a person did to an alert, and when."""

    act: Act
    at: datetime


@dataclass(frozen=True, slots=True)
class Case:
    """All that a decision may look at. `as_of` is the clinic's now; only deadlines are held against it."""

    episode: Episode
    ratings: tuple[Rated, ...]
    acts: Mapping[UUID, tuple[Done, ...]]
    clients: int
    as_of: datetime
