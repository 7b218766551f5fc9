"""The alerts' API over a real PostgreSQL: the most urgent first, explained, acted upon once, seen by its own clinic."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from services.alerts.adapters.batch import Batch
from services.alerts.app import AlertsApp, build_app
from services.alerts.settings import AlertsSettings
from services.platform.db import transaction
from services.platform.vault import Vault, VaultKeys
from tests.alerts_records import reading, risk, snapshot
from tests.clinic import new_clinic, write_secrets
from tests.stack import Database


@dataclass(slots=True)
class Desk:
    """The API with one alert of a drop and one risk answer."""

    client: httpx.AsyncClient
    database: Database
    tenant: UUID
    key: str

    async def get(self, path: str, **query: Any) -> httpx.Response:  # noqa: ANN401 - query values
        return await self.client.get(path, params=query, headers={"Authorization": f"Bearer {self.key}"})

    async def post(self, path: str, body: object = None) -> httpx.Response:
        return await self.client.post(path, json=body, headers={"Authorization": f"Bearer {self.key}"})


@pytest.fixture
async def desk(database: Database, tmp_path: Path) -> AsyncIterator[Desk]:
    settings = AlertsSettings(
        environment="local",
        database_url=database.url("attune_alerts"),
        secrets_dir=write_secrets(tmp_path / "secrets"),
    )
    tenant, key = await new_clinic(database)
    app = build_app(settings)
    await _fill(app, Vault(VaultKeys.from_settings(settings)), tenant)
    transport = httpx.ASGITransport(app=app.asgi, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://alerts") as client:
        yield Desk(client, database, tenant, key)
    await app.engine.dispose()


async def _fill(app: AlertsApp, vault: Vault, tenant: UUID) -> None:
    async with transaction(app.engine, [tenant]) as connection:
        client = (await vault.surrogates(connection, tenant, "client", ["C-0417"]))["C-0417"]
    batch = Batch()
    for event in (reading(1, 36.0), reading(2, 30.0), snapshot(), risk(1, 2.0)):
        batch.add(event.model_copy(update={"tenant_id": tenant, "client_id": client}))
    await app.consumer.taker.take(batch)


async def test_the_most_urgent_comes_first_and_pages_lose_nothing(desk: Desk) -> None:
    """A page at a time gives the same alerts, in the same order, as all at once."""
    everything = (await desk.get("/v1/alerts")).json()["alerts"]
    assert [each["severity"] for each in everything] == ["urgent", "amber"]
    paged, cursor = [], None
    while True:
        page = (await desk.get("/v1/alerts", limit=1, **({"cursor": cursor} if cursor else {}))).json()
        paged += page["alerts"]
        cursor = page["next"]
        if cursor is None:
            break
    assert paged == everything


async def test_an_alert_explains_itself_and_is_acted_upon_once(desk: Desk) -> None:
    """Evidence, steps, acknowledge and resolve: twice is once, and the end is the end."""
    path = f"/v1/alerts/{(await desk.get('/v1/alerts', kind='rupture-possible')).json()['alerts'][0]['id']}"
    detail = await desk.get(path)
    assert detail.headers["cache-control"] == "no-store"
    assert detail.json()["evidence"]["threshold"] == "rate below 0.01 and drop at least 2 and slide below 0.5"
    assert [step["action"] for step in detail.json()["steps"]] == ["opened"]
    for _ in range(2):
        assert (await desk.post(f"{path}/acknowledge")).json()["state"] == "acknowledged"
    for _ in range(2):
        done = await desk.post(f"{path}/resolve", {"reason": "discussed"})
        assert (done.json()["state"], done.headers["cache-control"]) == ("resolved", "no-store")
    assert [step["action"] for step in (await desk.get(path)).json()["steps"]] == ["opened", "acknowledged", "resolved"]
    refused = await desk.post(f"{path}/acknowledge")
    assert (refused.status_code, refused.headers["content-type"]) == (409, "application/problem+json")


async def test_another_clinic_sees_nothing(desk: Desk) -> None:
    """Not in its list, not by id, and not to be acted upon: the tenant is the key's."""
    mine = (await desk.get("/v1/alerts")).json()["alerts"]
    _, other = await new_clinic(desk.database, "other")
    stranger = Desk(desk.client, desk.database, desk.tenant, other)
    assert (await stranger.get("/v1/alerts")).json()["alerts"] == []
    for alert in mine:
        assert (await stranger.get(f"/v1/alerts/{alert['id']}")).status_code == 404
        assert (await stranger.post(f"/v1/alerts/{alert['id']}/acknowledge")).status_code == 404


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/v1/alerts", {"cursor": "x"}),
        ("/v1/alerts", {"limit": 0}),
        ("/v1/alerts", {"kind": "x"}),
        ("/v1/alerts/x", {}),
    ],
)
async def test_what_is_not_as_documented_is_a_problem(desk: Desk, path: str, query: dict[str, Any]) -> None:
    """422 with its place, never a 500."""
    answer = await desk.get(path, **query)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json"), answer.text


async def test_keys_and_scopes_are_asked_for(desk: Desk) -> None:
    """No key is 401, a key that may only post is 403, an alert that is not there is 404."""
    assert (await desk.client.get("/v1/alerts")).status_code == 401
    assert (await desk.get(f"/v1/alerts/{uuid4()}")).status_code == 404
    _, posting = await new_clinic(desk.database, "posting", scopes=("events:write",))
    assert (await Desk(desk.client, desk.database, desk.tenant, posting).get("/v1/alerts")).status_code == 403


async def test_every_opening_of_a_reference_is_written_down(desk: Desk) -> None:
    """An answer that names a client by the clinic's own reference leaves who opened the vault, and why."""
    named = (await desk.get("/v1/alerts")).json()["alerts"]
    assert {alert["client"] for alert in named} == {"C-0417"}
    engine = create_async_engine(desk.database.url("postgres"))
    async with engine.connect() as connection:
        opened = (await connection.execute(text("select surrogate, opened_by, purpose from vault.opening"))).all()
    await engine.dispose()
    assert [(row.surrogate, row.opened_by.split(":")[0], row.purpose) for row in opened] == [
        (UUID(named[0]["client_id"]), "key", "alerts api")
    ]
