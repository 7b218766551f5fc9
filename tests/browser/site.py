"""The pages, served from a database that holds the stories."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI
from starlette.types import ASGIApp

from services.alerts.acts import LifeCycle
from services.alerts.metrics import AlertsMetrics
from services.alerts.web import build_pages
from services.platform.clock import HeldClock
from services.platform.db import create_engine
from services.platform.health import Server, server
from services.platform.settings import Settings
from services.platform.vault import Vault, VaultKeys
from tests.browser.seed import sow
from tests.browser.stories import NOW
from tests.stack import Database

KEYS = {"session-key": 1, "vault-key": 2, "blind-index-key": 3}


@dataclass(frozen=True, slots=True)
class Site:
    origin: str


def settings_for(database: Database, secrets: Path) -> Settings:
    """As the local stack would give them to the alerts process."""
    for name, first in KEYS.items():
        (secrets / name).write_bytes(base64.b64encode(bytes(range(first, first + 32))))
    return Settings(environment="local", database_url=database.url("attune_alerts"), secrets_dir=secrets)


@asynccontextmanager
async def served(database: Database, secrets: Path) -> AsyncIterator[Site]:
    settings = settings_for(database, secrets)
    vault, engine = Vault(VaultKeys.from_settings(settings)), create_engine(settings)
    await sow(database, vault)
    application = FastAPI()
    clock = HeldClock(NOW)
    acts = LifeCycle(engine, clock, AlertsMetrics())
    application.router.routes.extend(build_pages(engine, vault, acts, settings, clock))
    try:
        async with _listening(application) as origin:
            yield Site(origin)
    finally:
        await engine.dispose()


@asynccontextmanager
async def _listening(application: ASGIApp) -> AsyncIterator[str]:
    door = server(application, host="127.0.0.1", port=0, graceful_seconds=1)
    serving = asyncio.create_task(door.serve())
    try:
        await _until_started(door, serving)
        yield f"http://127.0.0.1:{door.servers[0].sockets[0].getsockname()[1]}"
    finally:
        door.should_exit = True
        await serving


async def _until_started(door: Server, serving: asyncio.Task[None]) -> None:
    async with asyncio.timeout(10):
        while not door.started and not serving.done():  # noqa: ASYNC110 - uvicorn has a flag, no event
            await asyncio.sleep(0.01)
