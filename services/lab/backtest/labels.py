"""The truth about a caseload, where somebody knows it: one line of JSON for each client's course of care.

    {"client": "C-17", "episode": "E-17", "sessions": 12, "dropped_out": true,
     "ruptures": [{"onset": 5, "end": 7, "shape": "v", "expressed": true}]}

Sessions count from 1, over those of the course with an alliance rating by the client, in the order of care; `end` is
the last one affected, and where it is not said the rupture lasted. Who has days and not numbers says `onset_on` and
`end_on` (`2026-03-07`, in UTC). Only `client` and, in a rupture, its beginning have to be there.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from services.lab.backtest.lines import lines
from services.lab.truth import Label
from services.platform.errors import AttuneError

Session = Annotated[int, Field(ge=1, le=10_000)]
Key = tuple[str, str | None]


class BadLabels(AttuneError):
    """A labels file that cannot be read; names the line, the field and what was expected, never the value."""


class RuptureLabel(BaseModel):
    """One rupture: first and last session affected, or days. `expressed`: whether it shows in the ratings at all.

    Without an end it lasts as long as the course.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    onset: Session | None = None
    end: Session | None = None
    onset_on: Annotated[date, Field(strict=False)] | None = None
    end_on: Annotated[date, Field(strict=False)] | None = None
    shape: Annotated[str, Field(min_length=1, max_length=40)] | None = None
    expressed: bool = True

    @model_validator(mode="after")
    def _in_order(self) -> RuptureLabel:
        if (self.onset is None) == (self.onset_on is None):
            raise ValueError("onset, a session's number, or onset_on, a day")
        if (self.end is not None and self.onset is None) or (self.end_on is not None and self.onset_on is None):
            raise ValueError("onset and end, or onset_on and end_on")
        if self.end is not None and self.onset is not None and self.end < self.onset:
            raise ValueError("end: not before onset")
        if self.end_on is not None and self.onset_on is not None and self.end_on < self.onset_on:
            raise ValueError("end_on: not before onset_on")
        return self

    def among(self, days: Sequence[date]) -> Label | None:
        """As sessions of a course that were on these days; `None` where it begins after the last of them."""
        onset = self.onset or 1 + bisect_left(days, self.onset_on or date.min)
        if onset > len(days):
            return None
        last = bisect_right(days, self.end_on) if self.end_on else self.end or len(days)
        return Label(onset, max(onset, min(last, len(days))), self.shape, self.expressed)


class CourseLabel(BaseModel):
    """What is known of one client's course. Without `episode` it is about all of the client's sessions."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    client: Annotated[str, Field(min_length=1, max_length=200)]
    episode: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    sessions: Annotated[int, Field(ge=0, le=10_000)] | None = None
    ruptures: tuple[RuptureLabel, ...] = Field(default=(), strict=False)
    dropped_out: bool | None = None

    def within(self, days: Sequence[date]) -> list[Label]:
        """The ruptures that begin in sessions there are, which were on these days; an end is held within them."""
        return [found for each in self.ruptures if (found := each.among(days)) is not None]


def read_labels(path: Path) -> dict[Key, CourseLabel]:
    """By client and episode.

    Raises:
        UnreadableFile: no such file, or one that cannot be read to its end.
        BadLabels: a line that is no label.
    """
    found: dict[Key, CourseLabel] = {}
    for number, line in lines(path):
        label = _label(number, line)
        if (label.client, label.episode) in found:
            raise BadLabels(f"line {number}: client and episode were labelled before", hint="one line for each")
        found[label.client, label.episode] = label
    return found


def _label(number: int, line: bytes) -> CourseLabel:
    try:
        return CourseLabel.model_validate_json(line)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in fault["loc"]) or "the line"
        raise BadLabels(
            f"line {number}: {place}: {fault['msg'].removeprefix('Value error, ')}",
            hint="`attune backtest --labels-schema` prints what is expected",
        ) from None


def schema() -> dict[str, Any]:
    """JSON Schema of a line."""
    return CourseLabel.model_json_schema()
