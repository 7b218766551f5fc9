"""The door beside the same server doing nothing, and beside the database driver's own multi-row insert."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import httpx

from tests.benchmarks.harness import Question, Row, in_turn
from tests.clinic import new_clinic, rating, write_secrets
from tests.scoring_worker import free_port
from tests.stack import Database, fresh_database, running

SECONDS, CONNECTIONS, BATCH, BATCHES = 3.0, 64, 1_000, 12
SINGLE = Question("door-single", "ingest, single posts, 64 connections", "same server answering 204", "posts/s", 0.5)
BULK = Question("door-batch", "ingest, batches of 1,000", "multi-row insert of prepared rows", "events/s", 0.5)
INSERT = """
    with i as (insert into ingest.inbox select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::int[],
      $6::bytea[], $7::uuid[], $8::uuid[], $9::uuid[], $10::text[], $11::timestamptz[], $12::timestamptz[],
      $13::bytea[]))
    insert into ingest.outbox (tenant_id, event_id, lane, topic, key, value, headers, created_at)
    select t, e, 1, 'session-events', k, v, h, now() from unnest($1::uuid[], $2::uuid[], $14::bytea[], $13::bytea[],
      $15::bytea[]) as n(t, e, k, v, h)
"""


@dataclass(frozen=True)
class Place:
    """A door that listens, and the key to it."""

    database: Database
    environment: dict[str, str]
    key: str


@asynccontextmanager
async def place() -> AsyncIterator[Place]:
    """A database and a clinic's key."""
    async with running() as stack, fresh_database(stack.postgres) as database:
        _, key = await new_clinic(database)
        environment = {
            "ATTUNE_ENVIRONMENT": "local",
            "ATTUNE_DATABASE_URL": database.url("attune_ingest"),
            "ATTUNE_KAFKA_BOOTSTRAP": stack.kafka.bootstrap,
            "ATTUNE_SECRETS_DIR": str(write_secrets(Path(tempfile.mkdtemp()) / "secrets")),
        }
        yield Place(database, environment, key)


async def rows(rounds: int) -> list[Row]:
    async with place() as at:
        single = await in_turn(SINGLE, lambda: _single(at), lambda: _nothing(at), rounds)
        batch = await in_turn(BULK, lambda: _batches(at), lambda: _insert(at), rounds)
        return [single, batch]


# ---------------------------------------------------------------------------------------------------- single posts


async def _single(at: Place) -> float:
    async with server(at, "services.ingest") as port:
        return await _sent(port, "/v1/events", at.key, _bodies(40_000))


async def _nothing(at: Place) -> float:
    async with server(at, "uvicorn") as port:
        return await _sent(port, "/v1/events", at.key, _bodies(80_000))


def _bodies(count: int) -> bytes:
    run = uuid.uuid4().hex[:6]
    events = (rating(f"C-{n % 500}", n // 500 % 300 + 1, id=f"{run}-{n}") for n in range(count))
    return b"\n".join(json.dumps(event).encode() for event in events)


async def _sent(port: int, path: str, key: str, bodies: bytes) -> float:
    command = ("-m", "tests.benchmarks.sender", str(port), path, key, str(SECONDS), str(CONNECTIONS))
    sender = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    told, _ = await sender.communicate(bodies)
    return float(told.split()[0])


@asynccontextmanager
async def server(at: Place, module: str) -> AsyncIterator[int]:
    """The port of a server that listens."""
    port = free_port()
    uvicorn = ("--loop", "uvloop", "--no-access-log", "--log-level", "error", "--port", str(port))
    command = (module, *uvicorn, "tests.benchmarks.nothing:app") if module == "uvicorn" else (module,)
    told = {**os.environ, **at.environment, "ATTUNE_HTTP_PORT": str(port)}
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *command, env=told, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await _answers(port)
        yield port
    finally:
        started.terminate()
        await started.wait()


async def _answers(port: int) -> None:
    async with httpx.AsyncClient() as client:
        while True:
            try:
                await client.post(f"http://127.0.0.1:{port}/healthz")
            except httpx.TransportError:
                await asyncio.sleep(0.05)
            else:
                return


# ---------------------------------------------------------------------------------------------------------- batches


async def _batches(at: Place) -> float:
    run = uuid.uuid4().hex[:6]
    bodies = [
        json.dumps([rating(f"C-{n % 500}", n % 300 + 1, id=f"{run}-{batch}-{n}") for n in range(BATCH)]).encode()
        for batch in range(BATCHES)
    ]
    headers = {"Authorization": f"Bearer {at.key}", "Content-Type": "application/json"}
    async with server(at, "services.ingest") as port:
        address = f"http://127.0.0.1:{port}/v1/events:batch"
        async with httpx.AsyncClient(headers=headers, timeout=60) as client:
            (await client.post(address, content=bodies.pop())).raise_for_status()  # warm
            began = time.perf_counter()
            for body in bodies:
                (await client.post(address, content=body)).raise_for_status()
            return len(bodies) * BATCH / (time.perf_counter() - began)


async def _insert(at: Place) -> float:
    """The rows as they would be stored, made before the clock starts."""
    connection = await asyncpg.connect(at.database.url("postgres").replace("+asyncpg", ""))
    batches = [_rows() for _ in range(BATCHES)]
    began = time.perf_counter()
    for columns in batches:
        await connection.execute(INSERT, *columns)
    seconds = time.perf_counter() - began
    await connection.close()
    return BATCHES * BATCH / seconds


def _rows() -> tuple[list[object], ...]:
    run, tenant = uuid.uuid4().hex[:8], uuid.uuid4()
    ids: list[object] = [uuid.uuid4() for _ in range(BATCH)]
    same: list[object] = [tenant] * BATCH
    now: list[object] = [datetime.now(UTC) - timedelta(seconds=n) for n in range(BATCH)]
    value: list[object] = [os.urandom(420) for _ in range(BATCH)]
    return (
        same,
        ids,
        ["ehr"] * BATCH,
        [f"{run}-{n}" for n in range(BATCH)],
        [1] * BATCH,
        [os.urandom(32)] * BATCH,
        ids,
        ids,
        ids,
        ["rating.submitted"] * BATCH,
        now,
        now,
        value,
        [b"k" * 73] * BATCH,
        [b"h" * 300] * BATCH,
    )
