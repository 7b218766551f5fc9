"""The door as a process of its own: who hangs up leaves nothing behind, and nothing about people comes out of it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.clinic import new_clinic, rating, write_secrets
from tests.scoring_worker import free_port
from tests.stack import Database

HANGUPS = 12


@dataclass(frozen=True)
class Process:
    """A door that listens, a caller with a key, and where it writes what goes wrong."""

    port: int
    key: str
    client: httpx.AsyncClient
    errors: Path

    async def post(self, path: str, body: object) -> httpx.Response:
        return await self.client.post(path, json=body)

    async def hang_up(self, path: str, body: bytes, sent: int) -> None:
        """Announce a body, send the first bytes of it, and go without waiting for an answer."""
        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        head = f"POST {path} HTTP/1.1\r\nHost: door\r\nAuthorization: Bearer {self.key}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body[:sent])
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def process(database: Database, folder: Path) -> AsyncIterator[Process]:
    _, key = await new_clinic(database)
    port, errors = free_port(), folder / "stderr"
    told = {
        "ATTUNE_ENVIRONMENT": "local",
        "ATTUNE_DATABASE_URL": database.url("attune_ingest"),
        "ATTUNE_KAFKA_BOOTSTRAP": f"127.0.0.1:{free_port()}",
        "ATTUNE_SECRETS_DIR": str(write_secrets(folder / "secrets")),
        "ATTUNE_HTTP_PORT": str(port),
        "ATTUNE_INGEST_BATCHES": "2",
        "ATTUNE_LOG_LEVEL": "DEBUG",
    }
    with errors.open("wb") as log:
        command = (sys.executable, "-m", "services.ingest")
        door = await asyncio.create_subprocess_exec(*command, env={**os.environ, **told}, stdout=log, stderr=log)
        own = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=own, timeout=20) as client:
            try:
                await _ready(client)
                yield Process(port, key, client, errors)
            finally:
                door.terminate()
                await door.wait()


async def _ready(client: httpx.AsyncClient) -> None:
    while True:
        try:
            if (await client.get("/readyz")).status_code == 200:
                return
        except httpx.TransportError:
            await asyncio.sleep(0.05)


async def run(database: Database, statement: str) -> list[Any]:
    engine = create_async_engine(database.url("postgres"))
    async with engine.begin() as connection:
        answer = await connection.execute(text(statement))
        found = list(answer) if answer.returns_rows else []
    await engine.dispose()
    return found


async def taken(door: Process, batch: list[dict[str, Any]]) -> httpx.Response:
    """The answer to a batch once there is a place for it: a hanging up is noticed a moment later."""
    for _ in range(1_000):
        answer = await door.post("/v1/events:batch", batch)
        if answer.status_code != 429:
            return answer
        await asyncio.sleep(0.01)
    raise AssertionError("the place of who hung up is never free again")


async def test_who_hangs_up_leaves_nothing_half_done(database: Database, tmp_path: Path) -> None:
    """Cut in mid-body nothing is stored; with the body whole all of it is; the clinic's one place for batches is
    free again.
    """
    batch = [rating(client=f"C-{n}", id=f"B-{n}") for n in range(30)]
    body = json.dumps(batch).encode()
    async with process(database, tmp_path) as door:
        for number in range(HANGUPS):
            await door.hang_up("/v1/events:batch", body, len(body) // 2)
            await door.hang_up("/v1/events", json.dumps(rating(id=f"cut-{number}")).encode(), 20)
        assert (await door.post("/v1/events", rating(id="after"))).status_code == 201
        assert (await taken(door, [])).status_code == 200
        assert await run(database, "select external_id from ingest.inbox") == [("after",)]
        await door.hang_up("/v1/events:batch", body, len(body))
        assert {each["status"] for each in (await taken(door, batch)).json()["results"]} <= {200, 201}
        assert await run(database, "select count(*) from ingest.inbox") == [(31,)]


async def test_nothing_about_people_comes_out_of_the_process(database: Database, tmp_path: Path) -> None:
    """What is posted - taken, refused, or failing in a database that quotes the row - is in no log and no metric."""
    canary, value = "canary-Erika-Mustermann", 7_431.5
    named: dict[str, Any] = {
        "client": canary,
        "clinician": canary,
        "session": canary,
        "episode": canary,
        "source": canary,
    }
    async with process(database, tmp_path) as door:
        assert (await door.post("/v1/events", rating(id=canary, **named))).status_code == 201
        for bad in (rating(**named, id=canary, extra=canary), rating(**named) | {"type": canary}, [canary], canary):
            assert canary not in (await door.post("/v1/events", bad)).text
        odd = rating(**named, rating={"instrument": canary, "total": value})
        assert str(value) not in (await door.post("/v1/events:batch", [odd, canary])).text
        await run(database, "alter table ingest.inbox add constraint no check (false) not valid")
        broken = await door.post("/v1/events", rating(id=f"{canary}-2", **named))
        assert (broken.status_code, canary in broken.text) == (500, False)
        batch = await door.post("/v1/events:batch", [rating(id=f"{canary}-{n}", **named) for n in range(3, 6)])
        assert [each["status"] for each in batch.json()["results"]] == [500] * 3
        metrics = (await door.client.get("/metrics")).text
    written = door.errors.read_text(encoding="utf-8")
    assert "event failed" in written, "what failed is told"
    for secret in (canary, "Erika", str(value), door.key):
        assert secret not in written
        assert secret not in metrics
