"""uvicorn and Granian before the real door, 64 connections: `python -m tests.benchmarks.door_servers`."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

import httpx

from services.ingest.app import build_app
from services.ingest.settings import IngestSettings
from tests.clinic import new_clinic, rating, write_secrets
from tests.scoring_worker import free_port
from tests.stack import fresh_database, running

CONNECTIONS = 64
SECONDS = 5.0
SERVERS = {
    "uvicorn": ("uvicorn", "--factory", "--no-access-log", "--log-level", "error", "--host", "127.0.0.1", "--port"),
    "granian": ("granian", "--factory", "--interface", "asgi", "--no-log", "--host", "127.0.0.1", "--port"),
}


def make() -> object:
    """The door, from its settings in the environment."""
    return build_app(IngestSettings())


async def _post(client: httpx.AsyncClient, key: str, until: float, name: str) -> list[float]:
    took: list[float] = []
    while (began := time.perf_counter()) < until:
        event = rating(client=name, number=len(took) % 300 + 1, id=f"{name}-{len(took)}")
        answer = await client.post("/v1/events", json=event, headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == 201, answer.text
        took.append(time.perf_counter() - began)
    return took


async def _measure(name: str, environment: dict[str, str], key: str) -> str:
    port = str(free_port())
    command = (sys.executable, "-m", *SERVERS[name], port, "tests.benchmarks.door_servers:make")
    server = await asyncio.create_subprocess_exec(*command, env={**os.environ, **environment})
    limits = httpx.Limits(max_connections=CONNECTIONS)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", limits=limits, timeout=30) as client:
            await _ready(client)
            until = time.perf_counter() + SECONDS
            took = await asyncio.gather(*(_post(client, key, until, f"{name}-{n}") for n in range(CONNECTIONS)))
    finally:
        server.terminate()
        await server.wait()
    every = sorted(each for one in took for each in one)
    middle, slow = (every[int(len(every) * share)] * 1_000 for share in (0.5, 0.99))
    return f"{name}: {len(every) / SECONDS:.0f} posts/s, median {middle:.0f} ms, 99 % {slow:.0f} ms"


async def _ready(client: httpx.AsyncClient) -> None:
    while True:
        try:
            await client.get("/healthz")
        except httpx.TransportError:
            await asyncio.sleep(0.1)
        else:
            return


async def _main() -> None:
    folder = Path(tempfile.mkdtemp())
    async with running() as stack, fresh_database(stack.postgres) as database:
        _, key = await new_clinic(database)
        environment = {
            "ATTUNE_ENVIRONMENT": "local",
            "ATTUNE_DATABASE_URL": database.url("attune_ingest"),
            "ATTUNE_KAFKA_BOOTSTRAP": stack.kafka.bootstrap,
            "ATTUNE_SECRETS_DIR": str(write_secrets(folder / "secrets")),
        }
        for name in SERVERS:
            sys.stdout.write(f"{await _measure(name, environment, key)}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_main())
