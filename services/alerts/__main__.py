"""`python -m services.alerts`: consumer, API and the clinician's pages."""

from __future__ import annotations

import asyncio

from services.alerts.app import build_app
from services.alerts.settings import AlertsSettings
from services.platform import health, logs, process


async def _serve(stop: asyncio.Event) -> None:
    settings = AlertsSettings()
    logs.configure("alerts", settings.log_level)
    app = build_app(settings)
    server = health.server(app.asgi, host=settings.http_host, port=settings.http_port)
    serving = asyncio.create_task(server.serve())
    working = asyncio.create_task(app.work(stop))
    await asyncio.wait([serving, working], return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    server.should_exit = True
    await asyncio.gather(serving, working)


if __name__ == "__main__":
    process.run(_serve)
