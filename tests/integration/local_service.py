"""The smallest process that the stack can run: it is ready at once, on the port that it was told."""

from __future__ import annotations

import asyncio

from prometheus_client import CollectorRegistry

from services.platform import health
from services.platform.settings import Settings

if __name__ == "__main__":
    told = Settings()
    asyncio.run(health.server(health.app(CollectorRegistry(), {}), host=told.http_host, port=told.http_port).serve())
