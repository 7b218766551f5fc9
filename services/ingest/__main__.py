"""`python -m services.ingest`: the HTTP door."""

from __future__ import annotations

import asyncio
import sys

from services.ingest.app import build_app
from services.ingest.settings import IngestSettings
from services.platform import health, logs, process

TURN_SECONDS = 0.0005
"""How long a batch that is read in a thread may keep the loop from its next post: Python's own is ten times that."""


async def _serve(stop: asyncio.Event) -> None:
    settings = IngestSettings()
    logs.configure("ingest", settings.log_level)
    server = health.server(build_app(settings), host=settings.http_host, port=settings.http_port)
    serving = asyncio.create_task(server.serve())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    await serving


if __name__ == "__main__":
    sys.setswitchinterval(TURN_SECONDS)
    process.run(_serve)
