"""The live door against its own OpenAPI document, with whatever schemathesis thinks of."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from services.ingest.app import build_app
from services.ingest.settings import IngestSettings
from services.platform import health
from tests.clinic import new_clinic, write_secrets
from tests.scoring_worker import free_port
from tests.stack import Database

OPERATIONS = [("/v1/events", "POST"), ("/v1/events:batch", "POST"), ("/v1/events/{event_id}", "GET")]
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@dataclass(frozen=True, slots=True)
class Live:
    """A door on a port."""

    address: str
    headers: dict[str, str]


@pytest.fixture
async def live(database: Database, tmp_path: Path) -> AsyncIterator[Live]:
    """With no Kafka behind it: what the door answers does not depend on one."""
    own = IngestSettings(
        environment="local",
        database_url=database.url("attune_ingest"),
        kafka_bootstrap=f"127.0.0.1:{free_port()}",
        secrets_dir=write_secrets(tmp_path / "secrets"),
    )
    _, key = await new_clinic(database)
    port = free_port()
    server = health.server(build_app(own), host="127.0.0.1", port=port)
    serving = threading.Thread(target=lambda: asyncio.run(server.serve()))
    serving.start()
    while not server.started:  # noqa: ASYNC110 - another thread's doing sets no event of ours
        await asyncio.sleep(0.05)
    yield Live(f"http://127.0.0.1:{port}", {"Authorization": f"Bearer {key}"})
    server.should_exit = True
    await asyncio.to_thread(serving.join, 15)


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
async def test_every_answer_is_as_documented(live: Live, path: str, method: str) -> None:
    """Whatever is sent, the status, the media type and the body are those of the document, and never a 5xx."""
    await asyncio.to_thread(_try_out, live, path, method)
    async with httpx.AsyncClient() as client:
        told = (await client.get(f"{live.address}/metrics")).text
    lines = [line for line in told.splitlines() if line.startswith("attune_ingest_requests_total")]
    assert sum(float(line.split()[-1]) for line in lines) > 5  # it did ask


def _try_out(live: Live, path: str, method: str) -> None:
    schema = schemathesis.openapi.from_url(f"{live.address}/openapi.json")

    @given(case=schema[path][method].as_strategy())
    @settings(
        max_examples=40,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def check(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(headers=live.headers, checks=CHECKS)

    check()


async def test_the_document_is_openapi_3_1(live: Live) -> None:
    """It says so, and names each operation and how to authenticate."""
    async with httpx.AsyncClient() as client:
        described = (await client.get(f"{live.address}/openapi.json")).json()
    assert described["openapi"] == "3.1.0"
    assert set(described["paths"]) >= {path for path, _ in OPERATIONS}
    assert described["components"]["securitySchemes"]["key"]["scheme"] == "bearer"


@pytest.mark.parametrize(("method", "path", "status"), [("PUT", "/v1/events", 405), ("GET", "/nowhere", 404)])
async def test_what_is_not_there_is_a_problem_too(live: Live, method: str, path: str, status: int) -> None:
    """404 and 405 are problem documents; 405 says what is allowed."""
    async with httpx.AsyncClient() as client:
        answer = await client.request(method, live.address + path, headers=live.headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert status != 405 or answer.headers["allow"]
