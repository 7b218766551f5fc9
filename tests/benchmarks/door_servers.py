"""uvicorn and Granian before the real door, 64 connections, in turn: `python -m tests.benchmarks.door_servers`."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import aiohttp

from services.ingest.app import build_app
from services.ingest.settings import IngestSettings
from tests.clinic import new_clinic, rating, write_secrets
from tests.scoring_worker import free_port
from tests.stack import fresh_database, running

CONNECTIONS = 64
SECONDS = 4.0
ROUNDS = 5
SERVERS = {
    "uvicorn": ("uvicorn", "--factory", "--no-access-log", "--log-level", "error", "--host", "127.0.0.1", "--port"),
    "granian": ("granian", "--factory", "--interface", "asgi", "--no-log", "--host", "127.0.0.1", "--port"),
}


def make() -> object:
    """The door, from its settings in the environment."""
    return build_app(IngestSettings())


async def _post(client: aiohttp.ClientSession, until: float, name: str) -> list[float]:
    took: list[float] = []
    while (began := time.perf_counter()) < until:
        event = rating(client=name, number=len(took) % 300 + 1, id=f"{name}-{len(took)}")
        async with client.post("/v1/events", json=event) as answer:
            assert answer.status == 201, await answer.text()
        took.append(time.perf_counter() - began)
    return took


async def _round(name: str, number: int, environment: dict[str, str], key: str) -> tuple[float, float, float]:
    """Posts a second, then median and 99th percentile in milliseconds."""
    port = str(free_port())
    command = (sys.executable, "-m", *SERVERS[name], port, "tests.benchmarks.door_servers:make")
    server = await asyncio.create_subprocess_exec(*command, env={**os.environ, **environment})
    try:
        async with _client(port, key) as client:
            await _ready(client)
            until = time.perf_counter() + SECONDS
            posting = (_post(client, until, f"{name}-{number}-{n}") for n in range(CONNECTIONS))
            took = sorted(each for one in await asyncio.gather(*posting) for each in one)
    finally:
        server.terminate()
        await server.wait()
    middle, slow = (took[int(len(took) * share)] * 1_000 for share in (0.5, 0.99))
    return len(took) / SECONDS, middle, slow


def _client(port: str, key: str) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        f"http://127.0.0.1:{port}",
        connector=aiohttp.TCPConnector(limit=CONNECTIONS),
        headers={"Authorization": f"Bearer {key}"},
    )


async def _ready(client: aiohttp.ClientSession) -> None:
    while True:
        try:
            await client.get("/healthz")
        except aiohttp.ClientConnectionError:
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
        rounds: dict[str, list[tuple[float, float, float]]] = {name: [] for name in SERVERS}
        for number in range(ROUNDS):
            for name, measured in rounds.items():
                measured.append(await _round(name, number, environment, key))
                sys.stdout.write(f"{number} {_told(name, measured[-1])}\n")
                sys.stdout.flush()
    for name, measured in rounds.items():
        middle = tuple(median(column) for column in zip(*measured, strict=True))
        sys.stdout.write(f"median of {ROUNDS}: {_told(name, middle)}\n")


def _told(name: str, figures: tuple[float, ...]) -> str:
    rate, middle, slow = figures
    return f"{name}: {rate:.0f} posts/s, median {middle:.0f} ms, 99 % {slow:.0f} ms"


if __name__ == "__main__":
    asyncio.run(_main())
