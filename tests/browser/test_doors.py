"""Who gets in, who sees whom, and what every answer carries, asked without a browser."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from services.alerts.acts import LifeCycle
from services.alerts.metrics import AlertsMetrics
from services.alerts.web import build_pages
from services.platform.clock import HeldClock
from services.platform.db import create_engine, transaction
from services.platform.vault import Vault, VaultKeys
from tests.browser.flagged import OTHERS, RUPTURED
from tests.browser.site import Site, settings_for
from tests.browser.stories import COLLEAGUES, ELSEWHERE, MARKUP, NORTHSIDE, NOW, RUPTURE, Story
from tests.stack import Database


def token(page: httpx.Response) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found
    return found[1]


@asynccontextmanager
async def signed_in(site: Site, story: Story, *, supervisor: bool = False) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the pages with the session of the story's clinician."""
    async with httpx.AsyncClient(base_url=site.origin, follow_redirects=True) as client:
        clinician = "" if supervisor else str(story.clinician_id)
        form = {"csrf": token(await client.get("/login")), "tenant": str(story.tenant_id), "clinician": clinician}
        assert (await client.post("/login", data=form)).status_code == 200
        yield client


async def test_every_answer_is_sealed(site: Site) -> None:
    """No framing, no caching, no referrer, no code from anywhere but here; the cookie is out of a script's reach."""
    async with httpx.AsyncClient(base_url=site.origin) as client:
        for path in ("/", "/login", f"/clients/{RUPTURE.client_id}"):
            headers = (await client.get(path)).headers
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert (headers["cache-control"], headers["referrer-policy"]) == ("no-store", "no-referrer")
        cookie = (await client.get("/login")).headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=lax" in cookie


async def test_strangers_are_sent_to_the_sign_in(site: Site) -> None:
    """Without a session no page and no form does anything."""
    async with httpx.AsyncClient(base_url=site.origin) as client:
        for answer in (
            await client.get("/"),
            await client.get(f"/clients/{RUPTURE.client_id}"),
            await client.post("/search", data={"reference": RUPTURE.reference}),
            await client.post(f"/alerts/{RUPTURED.alert_id}/acknowledge"),
        ):
            assert (answer.status_code, answer.headers["location"]) == (303, "/login")


async def test_a_client_of_others_is_not_there(site: Site) -> None:
    """For another clinician, another clinic and a client who does not exist, the answer is the same 404."""
    async with signed_in(site, COLLEAGUES) as client:
        absent = await client.get("/clients/00000000-0000-4000-8000-000000000000")
        for story in (RUPTURE, ELSEWHERE):
            answer = await client.get(f"/clients/{story.client_id}")
            assert (answer.status_code, answer.text) == (404, absent.text)


async def test_an_alert_of_others_cannot_be_touched(site: Site) -> None:
    """Acknowledging or resolving a colleague's alert is as good as naming none."""
    async with signed_in(site, COLLEAGUES) as client:
        form = {"csrf": token(await client.get("/")), "reason": "discussed"}
        for action in ("acknowledge", "resolve"):
            answer = await client.post(f"/alerts/{RUPTURED.alert_id}/{action}", data=form)
            assert answer.status_code == 404


async def test_a_form_without_its_token_does_nothing(site: Site) -> None:
    """A form from elsewhere is refused, and so is one of another session, another type or another size."""
    async with signed_in(site, COLLEAGUES) as client, signed_in(site, COLLEAGUES) as other:
        path, mine = f"/alerts/{OTHERS.alert_id}/acknowledge", token(await client.get("/"))
        refused = [
            await client.post(path, data={}),
            await client.post(path, data={"csrf": token(await other.get("/"))}),
            await client.post(path, json={"csrf": mine}),
            await client.post(path, data={"csrf": mine, "more": "x" * 9_000}),
        ]
        assert [answer.status_code for answer in refused] == [403, 403, 403, 403]
        assert "Acknowledged</p>" not in (await client.get(f"/clients/{COLLEAGUES.client_id}")).text


async def test_a_sign_in_names_a_clinician_of_that_clinic(site: Site) -> None:
    """Mixing one clinic's name with another's clinician opens nothing."""
    async with httpx.AsyncClient(base_url=site.origin) as client:
        csrf = token(await client.get("/login"))
        for clinician in (str(ELSEWHERE.clinician_id), "nobody"):
            form = {"csrf": csrf, "tenant": str(RUPTURE.tenant_id), "clinician": clinician}
            assert (await client.post("/login", data=form)).status_code == 403


async def test_markup_is_escaped(site: Site) -> None:
    """A reference that looks like a script arrives as text, in the list and on the page."""
    async with signed_in(site, MARKUP) as client:
        for path in ("/", f"/clients/{MARKUP.client_id}"):
            page = (await client.get(path)).text
            assert MARKUP.reference not in page
            assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


async def test_a_supervisor_sees_the_whole_clinic_and_no_other(site: Site) -> None:
    """Every client of the clinic with her clinician; nothing of the next clinic."""
    async with signed_in(site, RUPTURE, supervisor=True) as client:
        page = (await client.get("/?show=all")).text
        assert page.count("<tr class=") == len(NORTHSIDE)
        assert page.count("with Dr. Okafor") + page.count("with Ms. Lindqvist") == len(NORTHSIDE)
        assert str(RUPTURE.client_id) in page
        assert str(ELSEWHERE.client_id) not in page


async def test_every_opening_of_the_vault_is_written_down(site: Site, module_database: Database) -> None:
    """Looking at a client's page leaves who, whom and why."""
    async with signed_in(site, COLLEAGUES) as client:
        await client.get(f"/clients/{COLLEAGUES.client_id}")
    engine = create_async_engine(module_database.url("postgres"))
    question = text(
        "select distinct opened_by from vault.opening where surrogate = :client and purpose = 'client page'"
    )
    async with transaction(engine, [COLLEAGUES.tenant_id]) as connection:
        opened = (await connection.execute(question, {"client": COLLEAGUES.client_id})).scalars().all()
    await engine.dispose()
    assert f"clinician:{COLLEAGUES.clinician_id}" in opened


async def test_elsewhere_there_is_no_development_sign_in(module_database: Database, tmp_path: Path) -> None:
    """Outside the local stack the pages stay closed and say what is missing."""
    settings = settings_for(module_database, tmp_path).model_copy(update={"environment": "production"})
    engine = create_engine(settings)
    application = FastAPI()
    vault = Vault(VaultKeys.from_settings(settings))
    clock = HeldClock(NOW)
    pages = build_pages(engine, vault, LifeCycle(engine, clock, AlertsMetrics()), settings, clock)
    application.router.routes.extend(pages)
    transport = httpx.ASGITransport(app=application)
    async with httpx.AsyncClient(transport=transport, base_url="http://attune") as client:
        answers = {path: (await client.get(path)).status_code for path in ("/", "/login", "/static/attune.css")}
        assert answers == {"/": 503, "/login": 404, "/static/attune.css": 200}
    await engine.dispose()


@pytest.mark.parametrize(
    "path", ["/?page=0", "/?page=99", "/?page=x", "/?show=<b>", "/clients/x", "/?show=alerts&page=2"]
)
async def test_odd_addresses_have_a_defined_answer(site: Site, path: str) -> None:
    """Whatever stands in the address, the answer is a page or a 404."""
    async with signed_in(site, RUPTURE) as client:
        assert (await client.get(path)).status_code in {200, 404}
