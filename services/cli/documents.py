"""A file's lines as posted events: NDJSON (plain or CloudEvents structured), or CSV by a mapping."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from services.cli.mapping import CsvMapping, RowFault, demand_columns, to_event
from services.ingest.envelopes import plain
from services.platform.errors import AttuneError

Event = dict[str, Any]


class Unreadable(AttuneError):
    """The file is not there, or not text."""


@dataclass(frozen=True, slots=True)
class Document:
    """One line that will be posted, with its number in the file."""

    line: int
    body: bytes
    occurred_at: datetime | None
    """Where it could be read; the door decides what it thinks of it."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """One line that cannot be posted: where in it, and what was expected."""

    line: int
    pointer: str
    expected: str


def read_ndjson(path: Path) -> Iterator[Document | Misfit]:
    """One event per line; empty lines are skipped.

    Raises:
        Unreadable: see above.
    """
    for number, text in enumerate(_lines(path), start=1):
        if text.strip():
            yield _document(number, text)


def read_csv(path: Path, mapping: CsvMapping) -> Iterator[Document | Misfit]:
    """One event per row, after the header; the line of a row is where it ends.

    Raises:
        Unreadable: see above.
        BadMapping: the mapping names a column that is not there.
    """
    rows = csv.DictReader(_lines(path), strict=True)
    try:
        demand_columns(mapping, rows.fieldnames or ())
        for row in rows:
            yield _from_row(rows.line_num, {name: value or "" for name, value in row.items()}, mapping)
    except csv.Error as error:
        raise Unreadable(f"{path}: line {rows.line_num} is not CSV: {error}", hint="is it comma-separated?") from None


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from _text(file)
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror}", hint="check the path") from None
    except UnicodeDecodeError:
        raise Unreadable(f"{path} is not UTF-8 text", hint="save it as UTF-8") from None


def _text(file: TextIO) -> Iterator[str]:
    yield from file


def _from_row(line: int, row: dict[str, str], mapping: CsvMapping) -> Document | Misfit:
    if None in row:
        return Misfit(line, "", "as many cells as the header has")
    try:
        return _encoded(line, to_event(mapping, row))
    except RowFault as fault:
        return Misfit(line, fault.pointer, fault.expected)


def _document(line: int, text: str) -> Document | Misfit:
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        return Misfit(line, "", "one JSON object a line")
    if not isinstance(event, dict):
        return Misfit(line, "", "a JSON object")
    return Document(line, text.strip().encode(), _when(event))


def _encoded(line: int, event: Event) -> Document:
    return Document(line, json.dumps(event, ensure_ascii=False).encode(), _when(event))


def _when(posted: object) -> datetime | None:
    event = plain(posted)
    if not isinstance(event, dict):
        return None
    try:
        found = datetime.fromisoformat(event["occurred_at"])
    except (KeyError, TypeError, ValueError):
        return None
    return found if found.tzinfo else None
