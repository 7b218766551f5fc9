"""Puts the stories into a database, as ingest and alerts would have left them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from services.platform.db import transaction
from services.platform.vault import KEY_ID, Kind, Vault
from tests.browser.flagged import ALL, Flagged
from tests.browser.stories import EVERYONE, Story, named, readings, snapshot
from tests.stack import Database

CLINICS = {"northside": "Northside Therapy", "southgate": "Southgate Clinic"}
Values = Mapping[str, object]


async def sow(database: Database, vault: Vault) -> None:
    """As the superuser, who may write every clinic's rows at once."""
    engine = create_async_engine(database.url("postgres"))
    try:
        async with transaction(engine, {story.tenant_id for story in EVERYONE}) as connection:
            for table, rows in _tables(vault).items():
                await _insert(connection, table, rows)
    finally:
        await engine.dispose()


def _tables(vault: Vault) -> dict[str, list[Values]]:
    return {
        "access.tenant": [
            {"tenant_id": named(name), "name": name, "display_name": shown} for name, shown in CLINICS.items()
        ],
        "vault.entry": list(_entries(vault)),
        "alerts.episode": [_episode(story) for story in EVERYONE],
        "alerts.reading": [reading for story in EVERYONE for reading in _readings(story)],
        "alerts.alert": [_alert(flagged) for flagged in ALL],
        "alerts.step": [_opened(flagged) for flagged in ALL],
    }


def _entries(vault: Vault) -> Iterable[Values]:
    """References under the stories' own surrogates, sealed as the vault seals them."""
    people: dict[tuple[UUID, UUID, Kind], str] = {}
    for story in EVERYONE:
        people[story.tenant_id, story.client_id, "client"] = story.reference
        people[story.tenant_id, story.clinician_id, "clinician"] = story.clinician
    for (tenant, surrogate, kind), reference in people.items():
        yield {
            "tenant_id": tenant,
            "surrogate": surrogate,
            "kind": kind,
            "blind_index": vault._index(tenant, kind, reference),
            "ciphertext": vault._encrypt(tenant, surrogate, kind, reference),
            "key_id": KEY_ID,
        }


def _whose(story: Story) -> dict[str, object]:
    return {"tenant_id": story.tenant_id, "episode_id": story.episode_id}


def _episode(story: Story) -> Values:
    said = snapshot(story)
    return _whose(story) | {
        "client_id": story.client_id,
        "owner_id": story.clinician_id,
        "status": said.status,
        "opened_at": said.opened_at,
        "last_attended_at": said.attendance.last_attended_at,
        "engine": said.revision.engine,
        "facts": said.revision.facts,
        "snapshot": said.model_dump_json(),
    }


def _readings(story: Story) -> Iterable[Values]:
    for reading in readings(story):
        yield _whose(story) | {
            "rating_id": reading.rating_id,
            "occurred_at": reading.occurred_at,
            "engine": reading.revision.engine,
            "facts": reading.revision.facts,
            "withdrawn": False,
            "reading": reading.model_dump_json(),
        }


def _alert(flagged: Flagged) -> Values:
    story, at = flagged.story, flagged.story.at(flagged.place)
    return _whose(story) | {
        "alert_id": flagged.alert_id,
        "client_id": story.client_id,
        "owner_id": story.clinician_id,
        "kind": flagged.kind.value,
        "severity": flagged.severity,
        "state": flagged.state,
        "reason": flagged.reason,
        "rating_id": flagged.rating_id,
        "occurred_at": at,
        "opened_at": at,
        "historical": False,
        "rule": "predictive-drop",
        "policy": "fic-default-1",
        "evidence": json.dumps(flagged.evidence),
    }


def _opened(flagged: Flagged) -> Values:
    return {
        "tenant_id": flagged.story.tenant_id,
        "step_id": named(f"{flagged.alert_id}/opened"),
        "alert_id": flagged.alert_id,
        "action": "opened",
        "at": flagged.story.at(flagged.place),
    }


async def _insert(connection: AsyncConnection, table: str, rows: Sequence[Values]) -> None:
    documents = {"snapshot", "reading", "evidence"}
    places = ", ".join(f"cast(:{name} as jsonb)" if name in documents else f":{name}" for name in rows[0])
    await connection.execute(text(f"insert into {table} ({', '.join(rows[0])}) values ({places})"), rows)
