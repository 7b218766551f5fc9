"""Which page answers where."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from services.alerts.web import pages
from services.alerts.web.acts import Acts
from services.alerts.web.door import HERE, STATIC, Door, Endpoint, posted, render, sealed, signed_in, templates
from services.alerts.web.login import login, login_page, logout
from services.alerts.web.queries import Records
from services.alerts.web.session import Signer
from services.platform.clock import Clock
from services.platform.secrets import read_key
from services.platform.settings import Settings
from services.platform.vault import Vault


class Files(StaticFiles):
    """Our own style sheet, script and chart library: kept by the browser, asked about each time."""

    def file_response(self, *arguments: Any, **named: Any) -> Response:  # noqa: ANN401 - Starlette's own signature
        response = super().file_response(*arguments, **named)
        response.headers.update({"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"})
        return response


def build_pages(engine: AsyncEngine, vault: Vault, acts: Acts, settings: Settings, clock: Clock) -> list[BaseRoute]:
    """The pages of this installation. Only the local stack has a sign-in so far; elsewhere `/` says what is missing.

    Raises:
        ConfigurationError: the secret `session-key` is missing or weak.
    """
    if settings.environment != "local":
        return [Route("/", _no_sign_in()), _static()]
    signer = Signer(read_key(settings.secrets_dir, "session-key"))
    return routes(Door(templates(), signer, Records(engine, vault, clock), acts, clock))


def routes(door: Door) -> list[BaseRoute]:
    return [
        Route("/", signed_in(door, pages.caseload)),
        Route("/login", login_page(door), methods=["GET"]),
        Route("/login", login(door), methods=["POST"]),
        Route("/logout", logout(door), methods=["POST"]),
        Route("/search", posted(door, pages.search), methods=["POST"]),
        Route("/clients/{client_id:uuid}", signed_in(door, pages.client)),
        Route("/alerts/{alert_id:uuid}/acknowledge", posted(door, pages.acknowledge), methods=["POST"]),
        Route("/alerts/{alert_id:uuid}/resolve", posted(door, pages.resolve), methods=["POST"]),
        _static(),
    ]


def _static() -> BaseRoute:
    return Mount(STATIC, Files(directory=HERE / "static"))


_NO_SIGN_IN = {
    "heading": "Single sign-on is not configured",
    "text": "The clinician's pages stay closed until this installation knows who may see which clients.",
    "href": "",
    "link": "",
    "local": False,
}


def _no_sign_in() -> Endpoint:
    async def endpoint(_: Request) -> Response:
        return sealed(render(templates(), "message.html", _NO_SIGN_IN, 503))

    return endpoint
