"""From somebody's CSV to posted events, by a mapping in TOML: docs/integrate/csv.md says what may stand in one."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from services.platform.errors import ConfigurationError

Row = Mapping[str, str]
Event = dict[str, Any]
Template = Annotated[str, Field(min_length=1, max_length=400)]
_COLUMN: Final = re.compile(r"\{([^{}]+)\}")


class BadMapping(ConfigurationError):
    """The mapping itself is wrong, or does not fit the file."""


@dataclass(frozen=True, slots=True)
class RowFault(Exception):
    """One row does not fit the mapping. Names the place and what was expected, never the value."""

    pointer: str
    expected: str


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Add(_Part):
    """`column` x `days`, added to the start."""

    column: str
    days: float


class When(_Part):
    """Either a column that holds the time, or a start and what to add to it."""

    column: str | None = None
    format: str | None = None
    timezone: str = "UTC"
    start: datetime | None = None
    add: Add | None = None

    @model_validator(mode="after")
    def _one_way(self) -> When:
        if (self.column is None) == (self.add is None):
            raise ValueError("either `column` or `add` (with `start`)")
        return self

    @field_validator("timezone")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("a time zone such as Europe/Berlin") from None
        return name


class Rating(_Part):
    """Constants of the rating, and from which columns its numbers come."""

    instrument: Template
    rater: Template = "client"
    items: dict[str, str] = Field(default_factory=dict)
    total: str | None = None
    seconds_to_complete: str | None = None


class CsvMapping(_Part):
    """A whole mapping. Texts may hold `{column}`."""

    event: dict[str, Template]
    occurred_at: When
    starts_at: When | None = None
    rating: Rating | None = None

    @field_validator("event")
    @classmethod
    def _identified(cls, event: dict[str, str]) -> dict[str, str]:
        missing = [name for name in ("type", "id", "client") if name not in event]
        if missing:
            raise ValueError(f"needs {', '.join(missing)}")
        return event

    def columns(self) -> Iterator[tuple[str, str]]:
        """Every column that is named, with the place in the mapping."""
        texts = {f"event.{name}": text for name, text in self.event.items()}
        if self.rating:
            texts |= {"rating.instrument": self.rating.instrument, "rating.rater": self.rating.rater}
        for place, text in texts.items():
            yield from ((place, column) for column in _COLUMN.findall(text))
        yield from _time_columns("occurred_at", self.occurred_at)
        yield from _time_columns("starts_at", self.starts_at)
        yield from self._number_columns()

    def _number_columns(self) -> Iterator[tuple[str, str]]:
        if self.rating:
            yield from ((f"rating.items.{code}", column) for code, column in self.rating.items.items())
            for name in ("total", "seconds_to_complete"):
                if column := getattr(self.rating, name):
                    yield f"rating.{name}", column


def _time_columns(place: str, when: When | None) -> Iterator[tuple[str, str]]:
    if when and when.column:
        yield f"{place}.column", when.column
    if when and when.add:
        yield f"{place}.add.column", when.add.column


def read_mapping(text: str, *, start: datetime | None = None) -> CsvMapping:
    """The mapping; `start` takes the place of the one it names.

    Raises:
        BadMapping: not TOML, an unknown or missing entry, or no start.
    """
    try:
        mapping = CsvMapping.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise BadMapping(f"the mapping is not TOML: {error}", hint="see docs/integrate/csv.md") from None
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in fault["loc"]) or "the mapping"
        raise BadMapping(f"mapping: {place}: {fault['msg']}", hint="see docs/integrate/csv.md") from None
    times = {name: _with_start(name, getattr(mapping, name), start) for name in ("occurred_at", "starts_at")}
    return mapping.model_copy(update=times)


def _with_start(name: str, when: When | None, start: datetime | None) -> When | None:
    if when is None or when.add is None:
        return when
    begins = start or when.start
    if begins is None:
        raise BadMapping(f"mapping: {name}.start is missing", hint="write it, or give --start 2026-01-05")
    return when.model_copy(
        update={"start": begins if begins.tzinfo else begins.replace(tzinfo=ZoneInfo(when.timezone))}
    )


def demand_columns(mapping: CsvMapping, header: Iterable[str]) -> None:
    """Every column that the mapping names must be in the file.

    Raises:
        BadMapping: one is not; the message names it and its place.
    """
    there = list(header)
    for place, column in mapping.columns():
        if column not in there:
            raise BadMapping(
                f"mapping: {place} names the column {column!r}, which the file lacks",
                hint=f"its columns are {', '.join(there) or 'none'}",
            )


def to_event(mapping: CsvMapping, row: Row) -> Event:
    """One row as one posted event.

    Raises:
        RowFault: a cell is not what its place needs.
    """
    event: Event = {name: _fill(text, row, f"/{name}") for name, text in mapping.event.items()}
    if "version" in event:
        event["version"] = int(_number(str(event["version"]), "/version") or 1)
    event["occurred_at"] = _time(mapping.occurred_at, row, "/occurred_at")
    if mapping.starts_at:
        event["starts_at"] = _time(mapping.starts_at, row, "/starts_at")
    if mapping.rating:
        event["rating"] = _rating(mapping.rating, row)
    return event


def _fill(text: str, row: Row, pointer: str) -> str:
    def cell(found: re.Match[str]) -> str:
        if not (value := (row[found[1]] or "").strip()):
            raise RowFault(pointer, f"a value in column {found[1]}")
        return value

    return _COLUMN.sub(cell, text)


def _rating(rating: Rating, row: Row) -> Event:
    made: Event = {
        "instrument": _fill(rating.instrument, row, "/rating/instrument"),
        "rater": _fill(rating.rater, row, "/rating/rater"),
    }
    if rating.items:
        items = rating.items.items()
        made["items"] = {code: _number(row[column], f"/rating/items/{code}") for code, column in items}
    for name in ("total", "seconds_to_complete"):
        if column := getattr(rating, name):
            made[name] = _number(row[column], f"/rating/{name}")
    return made


def _number(text: str | None, pointer: str) -> float | None:
    """Empty is missing, never 0."""
    if not text or not text.strip():
        return None
    try:
        value = float(text)
    except ValueError:
        raise RowFault(pointer, "a number, with a point for decimals") from None
    if not math.isfinite(value):
        raise RowFault(pointer, "a finite number")
    return value


def _time(when: When, row: Row, pointer: str) -> str:
    zone = ZoneInfo(when.timezone)
    try:
        return (_added(when, row, pointer) if when.add else _parsed(when, row)).astimezone(_utc(zone)).isoformat()
    except (ValueError, OverflowError):
        raise RowFault(pointer, f"a time like {when.format or '2026-01-05T10:00:00+01:00'}") from None


def _utc(zone: ZoneInfo) -> ZoneInfo | Any:  # noqa: ANN401 - datetime's own union
    return UTC if zone.key == "UTC" else zone


def _added(when: When, row: Row, pointer: str) -> datetime:
    assert when.add is not None
    assert when.start is not None
    count = _number(row[when.add.column], pointer)
    if count is None:
        raise RowFault(pointer, f"a number in column {when.add.column}")
    return when.start + timedelta(days=when.add.days) * count


def _parsed(when: When, row: Row) -> datetime:
    text = (row[str(when.column)] or "").strip()
    found = datetime.strptime(text, when.format) if when.format else datetime.fromisoformat(text)  # noqa: DTZ007 - the zone follows
    return found if found.tzinfo else found.replace(tzinfo=ZoneInfo(when.timezone))
