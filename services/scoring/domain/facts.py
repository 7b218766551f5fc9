"""What is known of one client's care, as the domain sees it. Times are microseconds since 1970, UTC."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from schemas.instruments import Rater

Kind = Literal[
    "rating.submitted",
    "rating.amended",
    "rating.retracted",
    "session.booked",
    "session.attended",
    "session.missed",
    "session.cancelled",
    "episode.opened",
    "episode.closed",
    "episode.transferred",
    "fact.dropped",
    "client.merged-away",
    "client.unmerged",
]
Clock = Literal["wall", "feed"]

RATINGS: tuple[Kind, ...] = ("rating.submitted", "rating.amended")
IDENTITY: tuple[Kind, ...] = ("client.merged-away", "client.unmerged")
"""Facts that decide whether anything of the episode counts."""
DAY = 86_400_000_000
"""Microseconds in a day."""


class Rating(NamedTuple):
    """One instrument filled in: its answers, or only the total where the clinic sends none."""

    instrument: str
    rater: Rater
    items: Mapping[str, float | None] = {}
    total: float | None = None
    seconds_to_complete: float | None = None


class Fact(NamedTuple):
    """One version of one record of the clinic. `rating` is there for ratings, `starts_at` for sessions.

    `drops` names another fact that is not to count, whether it came before or comes later. Of a client merged away
    there is no session: `session_id` is the episode that has the facts now (a row of its own would change every row).

    A tuple: an episode's facts are read and written with each of them, and as rows that is a third of the time and
    of the room.
    """

    fact_id: str
    record_id: str
    version: int
    kind: Kind
    occurred_at: int
    recorded_at: int
    session_id: str | None = None
    clinician_id: str | None = None
    historical: bool = False
    clock: Clock = "wall"
    rating: Rating | None = None
    starts_at: int | None = None
    drops: str | None = None

    @property
    def precedence(self) -> tuple[int, str]:
        """Of one record the highest version counts; of one version, by convention, the highest id."""
        return (self.version, self.fact_id)

    @property
    def session(self) -> str:
        """The session this belongs to; a rating that names none is a session of its own."""
        return self.session_id or self.record_id

    @property
    def place(self) -> tuple[int, str, str, str]:
        """Where a rating stands among an episode's: by care's time, never by arrival."""
        instrument = self.rating.instrument if self.rating else ""
        return (self.occurred_at, self.session, instrument, self.record_id)
