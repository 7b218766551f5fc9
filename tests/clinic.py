"""A clinic of a test's own: a tenant, a key, secrets, and posts through the real door."""

from __future__ import annotations

import base64
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy.ext.asyncio import create_async_engine

from services.ingest.app import build_app
from services.ingest.settings import IngestSettings
from services.platform import auth, tenants
from tests.stack import Database

ALL_SCOPES = auth.SCOPES


def write_secrets(folder: Path) -> Path:
    """Fresh keys, as an installation has them."""
    folder.mkdir(exist_ok=True)
    for name in ("vault-key", "blind-index-key", "session-key"):
        (folder / name).write_text(base64.b64encode(secrets.token_bytes(32)).decode())
    return folder


async def new_clinic(
    database: Database, name: str = "clinic", scopes: tuple[auth.Scope, ...] = ALL_SCOPES
) -> tuple[UUID, str]:
    """A tenant and a key of it."""
    engine = create_async_engine(database.url("attune_operator"))
    async with engine.begin() as connection:
        tenant = await tenants.create(connection, name)
        key = await auth.issue(connection, tenant, scopes)
    await engine.dispose()
    return tenant, key


@dataclass(slots=True)
class Door:
    """The door, in this process, over its real database."""

    client: httpx.AsyncClient
    key: str

    async def post(self, event: object, **headers: str) -> httpx.Response:
        return await self.client.post("/v1/events", json=event, headers=self._headers(headers))

    async def batch(self, events: list[dict[str, Any]], **headers: str) -> list[dict[str, Any]]:
        answer = await self.client.post("/v1/events:batch", json=events, headers=self._headers(headers))
        assert answer.status_code == 200, answer.text
        results: list[dict[str, Any]] = answer.json()["results"]
        return results

    def _headers(self, more: Mapping[str, str]) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {self.key}",
            **{name.replace("_", "-"): value for name, value in more.items()},
        }


@asynccontextmanager
async def door(settings: IngestSettings, key: str) -> AsyncIterator[Door]:
    """The door's application with its background work."""
    app = build_app(settings)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://door") as client:
            yield Door(client, key)


def rating(client: str = "C-1", number: int = 1, total: float | None = None, **more: object) -> dict[str, Any]:
    """A posted SRS of one client: session `number`, a week after the one before."""
    at = f"2026-{1 + (number - 1) // 28:02d}-{1 + (number - 1) % 28:02d}T10:00:00+00:00"
    items = {"relationship": 9.0, "goals_and_topics": 9.0, "approach_or_method": 9.0, "overall": 9.0}
    answers: dict[str, Any] = {"items": items} if total is None else {"total": total}
    return {
        "type": "rating.submitted",
        "id": f"R-{client}-{number}",
        "client": client,
        "clinician": "T-1",
        "session": f"S-{client}-{number}",
        "occurred_at": at,
        "rating": {"instrument": "srs@3", **answers},
        **more,
    }
