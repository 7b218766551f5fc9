"""What a clinic's system posts to the door: plain JSON, one flat object per event.

People and things go by the clinic's own references (`client`, `clinician`, `session`, `episode`); inside Attune only
surrogates travel. The same fields arrive as CloudEvents: `id`, `source`, `time` (= `occurred_at`), `subject`
(= `client`) as attributes, the rest in `data`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from schemas.events import Rater


def _printable(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise ValueError("printable characters without leading or trailing blanks")
    return text


_RFC3339 = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)$", re.IGNORECASE | re.ASCII)


def _instant(value: object) -> object:
    """Text becomes a moment in UTC; a number never does, however much it looks like a time."""
    if not isinstance(value, str):
        return value
    if not _RFC3339.match(value):
        raise ValueError("a date and time with its UTC offset (RFC 3339)")
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):  # no such day, or one before the year 1: the message would quote it
        raise ValueError("a date and time that exists, with its UTC offset (RFC 3339)") from None


Instant = Annotated[AwareDatetime, BeforeValidator(_instant)]
Reference = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_printable)]
Score = Annotated[float, Field(allow_inf_nan=False, ge=-1e6, le=1e6)]


class Posted(BaseModel):
    """Common to every posted event; unknown fields are refused, so that a misspelt one is noticed."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    id: Reference = Field(description="Your own id of the record: the rating, the appointment, the episode's change")
    source: Reference = Field(default="ehr", description="The system the id comes from")
    version: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=1, description="1, then one more for every correction of the same record"
    )
    client: Reference = Field(description="Your own reference of the client; kept sealed, never logged")
    clinician: Reference | None = Field(default=None, description="Your own reference of the clinician")
    episode: Reference | None = Field(default=None, description="Your own reference of the course of care")
    session: Reference | None = Field(default=None, description="Your own reference of the appointment")
    occurred_at: Instant = Field(description="When it happened in care, with its UTC offset")


class PostedRating(BaseModel):
    """The filled-in instrument: items by code, or only the total."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    instrument: Annotated[str, Field(min_length=1, max_length=64)]
    rater: Rater = "client"
    items: Annotated[dict[Annotated[str, Field(max_length=64)], Score | None], Field(max_length=100)] = Field(
        default_factory=dict
    )
    total: Score | None = None
    seconds_to_complete: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)] | None = None


class PostedRatingSubmitted(Posted):
    type: Literal["rating.submitted"]
    rating: PostedRating


class PostedRatingAmended(Posted):
    type: Literal["rating.amended"]
    version: Annotated[int, Field(ge=2, le=1_000_000)]
    rating: PostedRating


class PostedRatingRetracted(Posted):
    type: Literal["rating.retracted"]
    version: Annotated[int, Field(ge=2, le=1_000_000)]


class PostedSession(Posted):
    session: Reference
    starts_at: Instant | None = Field(default=None, description="The appointment's start; `occurred_at` if absent")


class PostedSessionBooked(PostedSession):
    type: Literal["session.booked"]
    starts_at: Instant


class PostedSessionAttended(PostedSession):
    type: Literal["session.attended"]


class PostedSessionMissed(PostedSession):
    type: Literal["session.missed"]


class PostedSessionCancelled(PostedSession):
    type: Literal["session.cancelled"]
    cancelled_by: Literal["client", "clinic"] | None = None


class PostedEpisodeOpened(Posted):
    type: Literal["episode.opened"]
    clinician: Reference


class PostedEpisodeClosed(Posted):
    type: Literal["episode.closed"]
    reason: Literal["completed", "dropped-out", "transferred", "administrative", "other"] = "other"


class PostedEpisodeTransferred(Posted):
    type: Literal["episode.transferred"]
    clinician: Reference


class PostedClientMerged(Posted):
    """Two of your references are one person: `client` is the one that stays, `merged` the one that goes."""

    type: Literal["client.merged"]
    merged: Reference = Field(description="Your own reference that turned out to be the same person as `client`")


class PostedClientUnmerged(Posted):
    """A later version of a `client.merged` that was wrong."""

    type: Literal["client.unmerged"]
    version: Annotated[int, Field(ge=2, le=1_000_000)]
    merged: Reference = Field(description="As in the `client.merged` that is taken back")


PostedFact = (
    PostedRatingSubmitted
    | PostedRatingAmended
    | PostedRatingRetracted
    | PostedSessionBooked
    | PostedSessionAttended
    | PostedSessionMissed
    | PostedSessionCancelled
    | PostedEpisodeOpened
    | PostedEpisodeClosed
    | PostedEpisodeTransferred
)
PostedIdentity = PostedClientMerged | PostedClientUnmerged
PostedEvent = Annotated[PostedFact | PostedIdentity, Field(discriminator="type")]
