"""Rows as the columns that `statements.COMMIT` takes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from schemas.codec import Record
from services.ingest.episodes import Course
from services.ingest.facts import Written
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


def of_taken(rows: Sequence[Taken]) -> dict[str, list[Any]]:
    """What we make ourselves."""
    return {
        "events": [row.event_id for row in rows],
        "sources": [row.source for row in rows],
        "externals": [row.external_id for row in rows],
        "versions": [row.version for row in rows],
        "hashes": [row.body_hash for row in rows],
        "records": [row.record_id for row in rows],
        "clients": [row.client_id for row in rows],
        "episodes": [row.episode_id for row in rows],
        "types": [row.type for row in rows],
        "occurred": [row.occurred_at for row in rows],
        "received": [row.received_at for row in rows],
        "values": [row.record.value for row in rows],
        "lanes": [row.lane for row in rows],
        "keys": [row.record.key for row in rows],
        "headers": [packed(row.record.headers) for row in rows],
    }


def of_written(facts: Sequence[Written]) -> dict[str, list[Any]]:
    """What was posted."""
    drafts, whose = [row.draft for row in facts], [row.who for row in facts]
    records = [row.record for row in facts]
    return {
        "events": [draft.fact_id for draft in drafts],
        "sources": [draft.event.source for draft in drafts],
        "externals": [draft.event.id for draft in drafts],
        "versions": [draft.event.version for draft in drafts],
        "hashes": [draft.body_hash for draft in drafts],
        "records": [draft.record_id for draft in drafts],
        "clients": [who.client_id for who in whose],
        "episodes": [who.episode_id for who in whose],
        "types": [draft.event.type for draft in drafts],
        "occurred": [draft.event.occurred_at for draft in drafts],
        "received": [draft.receiving.now for draft in drafts],
        "values": [record.value for record in records],
        "lanes": [row.lane for row in facts],
        "keys": [record.key for record in records],
        "headers": [packed(record.headers) for record in records],
    }


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
