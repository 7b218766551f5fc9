"""More than the door can take: told to come back, never lost, and nobody at a neighbour's expense."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from pathlib import Path

import psutil
import pytest

from services.ingest.settings import IngestSettings
from services.ingest.shares import Full, Slots
from services.local.stack import LocalStack
from tests.clinic import Door, door, new_clinic, rating, write_secrets
from tests.scoring_worker import free_port
from tests.stack import Database

FLOOD, QUEUE, OTHERS = 900, 200, 20


async def status(clinic: Door, key: str, name: str) -> tuple[int, str | None]:
    own = {"Authorization": f"Bearer {key}"}
    answer = await clinic.client.post("/v1/events", json=rating(client=name, id=name), headers=own)
    return answer.status_code, answer.headers.get("retry-after")


async def test_who_floods_is_told_to_come_back_and_nobody_else(database: Database, tmp_path: Path) -> None:
    """900 posts of one clinic at once on a queue of 200: some 429 with Retry-After; the other clinic's are all taken.

    And taken in turn: the other's posts, sent after all of the flood, are stored before most of it.
    """
    settings = IngestSettings(
        environment="local",
        database_url=database.url("attune_ingest"),
        kafka_bootstrap=f"127.0.0.1:{free_port()}",
        secrets_dir=write_secrets(tmp_path / "secrets"),
        ingest_queue=QUEUE,
        ingest_group=20,
    )
    _, loud = await new_clinic(database, "loud")
    _, quiet = await new_clinic(database, "quiet")
    async with door(settings, loud) as clinic:
        assert (await status(clinic, quiet, "first"))[0] == 201  # keys are looked up, before anybody is in a hurry
        order: list[str] = []

        async def post(key: str, name: str) -> tuple[int, str | None]:
            answered = await status(clinic, key, name)
            order.append(name)
            return answered

        flood = [asyncio.create_task(post(loud, f"loud-{n}")) for n in range(FLOOD)]
        await asyncio.sleep(0)
        others = [asyncio.create_task(post(quiet, f"quiet-{n}")) for n in range(OTHERS)]
        answers, taken = await asyncio.gather(*flood), await asyncio.gather(*others)
    assert {code for code, _ in taken} == {201}, "a clinic was refused because of its neighbour"
    codes = [code for code, _ in answers]
    assert set(codes) == {201, 429}
    assert all(retry == "1" for code, retry in answers if code == 429)
    accepted = [name for name in order if name.startswith("quiet") or codes[int(name.split("-")[1])] == 201]
    assert accepted.index(f"quiet-{OTHERS - 1}") < len(accepted) - 20, "the other clinic came last"


async def test_a_database_that_hangs_is_one_that_is_away(stack: LocalStack, database: Database, tmp_path: Path) -> None:
    """PostgreSQL frozen: 503 with Retry-After instead of waiting for ever; awake, the same post is taken."""
    _, key = await new_clinic(database)
    settings = IngestSettings(
        environment="local",
        database_url=database.url("attune_ingest"),
        kafka_bootstrap=f"127.0.0.1:{free_port()}",
        secrets_dir=write_secrets(tmp_path / "secrets"),
        database_seconds=0.5,
    )
    async with door(settings, key) as clinic:
        assert (await status(clinic, key, "first"))[0] == 201
        server = psutil.Process(stack.supervisor.child("postgres").report()["pid"])
        frozen = [server, *server.children(recursive=True)]
        for process in frozen:
            process.suspend()
        try:
            assert await status(clinic, key, "second") == (503, "2")
        finally:
            for process in frozen:
                process.resume()
        assert (await status(clinic, key, "second"))[0] == 201


def test_no_clinic_takes_every_place_for_batches() -> None:
    """Half of the places for one alone, less beside others, some for whoever comes new; all together have an end."""
    slots, clinics = Slots(4), [uuid.uuid4() for _ in range(20)]
    with contextlib.ExitStack() as held:
        for _ in range(2):
            held.enter_context(slots.taken(clinics[0]))
        with pytest.raises(Full):
            held.enter_context(slots.taken(clinics[0]))
        for clinic in clinics[1:7]:
            held.enter_context(slots.taken(clinic))
        with pytest.raises(Full):
            held.enter_context(slots.taken(clinics[7]))
    with slots.taken(clinics[7]), slots.taken(clinics[7]):
        pass
