"""Rows as the columns that `statements.COMMIT` takes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from schemas.codec import Record
from services.ingest.draft import Draft
from services.ingest.episodes import Course
from services.ingest.facts import Surrogates, Written
from services.platform.outbox import Lane
from services.platform.outbox.rows import packed


class Taken(NamedTuple):
    """A fact for the inbox, and the record that is published of it."""

    event_id: UUID
    source: str
    external_id: str
    version: int
    body_hash: bytes
    record_id: UUID
    client_id: UUID
    episode_id: UUID
    type: str
    occurred_at: datetime
    received_at: datetime
    record: Record
    lane: Lane = Lane.LIVE


_COLUMNS: Final = (
    *("events", "sources", "externals", "versions", "hashes", "records", "clients", "episodes", "types"),
    *("occurred", "received", "keys", "values", "headers", "lanes"),
)


def taken(facts: Sequence[Written]) -> list[Taken]:
    """What was posted."""
    return [_taken(fact.draft, fact.who, fact.record, fact.lane) for fact in facts]


def _taken(draft: Draft, who: Surrogates, record: Record, lane: Lane) -> Taken:
    event = draft.event
    return Taken(
        draft.fact_id,
        event.source,
        event.id,
        event.version,
        draft.body_hash,
        draft.record_id,
        who.client_id,
        who.episode_id,
        event.type,
        event.occurred_at,
        draft.receiving.now,
        record,
        lane,
    )


def of_taken(rows: Sequence[Taken]) -> dict[str, list[Any]]:
    """By column; at least one row."""
    flat = [(*row[:-2], row.record.key, row.record.value, packed(row.record.headers), row.lane) for row in rows]
    return dict(zip(_COLUMNS, map(list, zip(*flat, strict=True)), strict=True))


def of_courses(courses: Sequence[Course]) -> dict[str, list[Any]]:
    return {
        "courses": [course.episode_id for course in courses],
        "course_clients": [course.client_id for course in courses],
        "references": [course.reference for course in courses],
        "implicits": [course.implicit for course in courses],
        "opened": [course.opened_at for course in courses],
        "closed": [course.closed_at for course in courses],
        "added": [course.added for course in courses],
    }
