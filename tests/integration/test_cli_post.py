"""`attune post` against the real door: the third party's file as it stands, as often as one likes, by two at once."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import random
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from services.local import ports
from services.local.stack import LocalStack
from services.platform.db import transaction
from tests.clinic import new_clinic, write_secrets
from tests.stack import Database

ROOT = Path(__file__).resolve().parents[2]
MAPPING = ROOT / "docs/integrate/srs-survey.mapping.toml"
COLUMNS = ("pairing_id", "session_id", "relationship", "goals_and_topics", "approach_or_method", "overall")
ROWS = 277
_HELD = text("select source, external_id, version, body_hash, client_id, episode_id from ingest.inbox order by 1, 2, 3")


@dataclass(frozen=True, slots=True)
class Served:
    """A running door, a key, and the database behind it."""

    url: str
    key_file: Path
    tenant: UUID
    database: Database
    environment: dict[str, str]

    async def held(self) -> list[tuple[Any, ...]]:
        engine = create_async_engine(self.database.url("attune_ingest"))
        async with transaction(engine, [self.tenant]) as connection:
            rows = [tuple(row) for row in await connection.execute(_HELD)]
        await engine.dispose()
        return rows


@pytest.fixture
async def served(stack: LocalStack, database: Database, tmp_path: Path) -> AsyncIterator[Served]:
    """The door as a process of its own, on a free port."""
    tenant, key = await new_clinic(database)
    key_file = tmp_path / "key"
    key_file.write_text(key, encoding="utf-8")
    (port,) = ports.choose(0)
    environment = stack.environment("attune_ingest", port) | {
        "ATTUNE_DATABASE_URL": database.url("attune_ingest"),
        "ATTUNE_SECRETS_DIR": str(write_secrets(tmp_path / "secrets")),
        "ATTUNE_KAFKA_TOPIC_PREFIX": f"{database.name}-",
    }
    door = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.ingest", env=environment, cwd=ROOT, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        await _answering(f"http://127.0.0.1:{port}/healthz")
        yield Served(f"http://127.0.0.1:{port}", key_file, tenant, database, environment)
    finally:
        door.terminate()
        await door.wait()


async def _answering(url: str) -> None:
    async with asyncio.timeout(30), httpx.AsyncClient(trust_env=False) as client:
        while True:
            try:
                (await client.get(url)).raise_for_status()
            except httpx.HTTPError:
                await asyncio.sleep(0.05)
            else:
                return


async def _attune(served: Served, *arguments: str) -> tuple[int, str, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ATTUNE_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services", *arguments),
        *("--url", served.url, "--key-file", str(served.key_file), "--json"),
        env=environment,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, said = await process.communicate()
    return int(process.returncode or 0), out.decode(), said.decode()


async def _post(served: Served, path: Path, *more: str) -> dict[str, Any]:
    code, out, said = await _attune(served, "post", "--csv", str(path), "--mapping", str(MAPPING), *more)
    assert code == 0, said
    told: dict[str, Any] = json.loads(out)
    return told


def _survey(path: Path, rows: Sequence[Sequence[object]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    return path


def _rows() -> list[tuple[object, ...]]:
    """As many rows as the third party's export has, in its shape."""
    draw = random.Random(7)
    pairs = [(pairing, session) for pairing in range(1, 71) for session in range(1, 5)][:ROWS]
    return [(*pair, *(round(draw.uniform(0, 10), 1) for _ in range(4))) for pair in pairs]


async def test_a_survey_posted_again_shuffled_and_by_two_at_once_is_held_once(served: Served, tmp_path: Path) -> None:
    """277 rows are accepted; posted again, shuffled, and by two processes at once, nothing changes."""
    rows = _rows()
    survey = _survey(tmp_path / "survey.csv", rows)
    random.Random(1).shuffle(rows)
    shuffled = _survey(tmp_path / "shuffled.csv", rows)

    first = await _post(served, survey)
    assert (first["accepted"], first["known"], first["refused"]) == (ROWS, 0, 0)
    held = await served.held()
    assert len(held) == ROWS

    both = await asyncio.gather(_post(served, shuffled, "--batch", "40"), _post(served, survey, "--batch", "70"))
    assert [(one["known"], one["refused"]) for one in both] == [(ROWS, 0), (ROWS, 0)]
    assert await served.held() == held


async def test_two_processes_that_post_first_at_once_share_the_work(served: Served, tmp_path: Path) -> None:
    """Together they are told `accepted` once for every row, and one client has one surrogate."""
    rows = _rows()
    survey = _survey(tmp_path / "survey.csv", rows)
    shuffled = _survey(tmp_path / "shuffled.csv", rows[::-1])
    both = await asyncio.gather(_post(served, shuffled, "--batch", "30"), _post(served, survey, "--batch", "50"))
    assert sum(one["accepted"] for one in both) == ROWS
    assert sum(one["known"] for one in both) == ROWS
    held = await served.held()
    assert len({client for *_, client, _ in held}) == len({row[0] for row in rows})


async def test_a_bad_row_is_named_and_the_others_go_on(served: Served, tmp_path: Path) -> None:
    """Values out of range, and cells that are no numbers, are refused by line and place, never by value."""
    survey = _survey(tmp_path / "survey.csv", [(1, 1, 9, 9, 9, 9), (1, 2, 77.7, 9, 9, 9), (1, 3, "secret", 9, 9, 9)])
    code, out, said = await _attune(served, "post", "--csv", str(survey), "--mapping", str(MAPPING))
    told = json.loads(out)
    assert code == 0, said
    assert (told["accepted"], told["refused"]) == (1, 2)
    places = {(one["line"], one["pointer"]) for one in told["reasons"]}
    assert places == {(3, "/rating/items/relationship"), (4, "/rating/items/relationship")}
    assert "77.7" not in out + said
    assert "secret" not in out + said


async def test_a_key_that_is_not_valid_is_one_line(served: Served, tmp_path: Path) -> None:
    """Exit code 2, one line, what to do next."""
    served.key_file.write_text("atk_wrong", encoding="utf-8")
    survey = _survey(tmp_path / "survey.csv", [(1, 1, 9, 9, 9, 9)])
    code, out, said = await _attune(served, "post", "--csv", str(survey), "--mapping", str(MAPPING))
    assert (code, out) == (2, "")
    assert "401" in said
    assert "attune keys create" in said
