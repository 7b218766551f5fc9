"""The development sign-in of the local stack. It has no password and is never mounted anywhere else."""

from __future__ import annotations

from uuid import UUID

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.alerts.web.door import Door, Endpoint, not_ours, read_form, render, sealed
from services.alerts.web.records import Viewer
from services.alerts.web.session import Session, current, forget, remember


def login_page(door: Door) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        now = door.clock.now()
        session = current(door.signer, request, now) or door.signer.begin(None, now)
        context = {"csrf": door.signer.csrf(session), "tenants": await door.records.clinics()}
        response = render(door.templates, "login.html", context)
        _remember(response, door, session, request)
        return sealed(response)

    return endpoint


def login(door: Door) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        before = current(door.signer, request, door.clock.now())
        form = await read_form(door, request, before) if before else None
        viewer = await _viewer(door, form.get("tenant", ""), form.get("clinician", "")) if form else None
        if viewer is None:
            return sealed(not_ours(door))
        response = RedirectResponse("/", 303)
        _remember(response, door, door.signer.begin(viewer, door.clock.now()), request)
        return sealed(response)

    return endpoint


def logout(door: Door) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        session = current(door.signer, request, door.clock.now())
        if session and await read_form(door, request, session) is None:
            return sealed(not_ours(door))
        response = RedirectResponse("/login", 303)
        forget(response)
        return sealed(response)

    return endpoint


async def _viewer(door: Door, tenant: str, clinician: str) -> Viewer | None:
    """Only a clinic that exists, and a clinician who has clients there."""
    asked = _pair(tenant, clinician)
    if asked is None:
        return None
    viewer = Viewer(*asked)
    return viewer if await door.records.may_enter(viewer) else None


def _pair(tenant: str, clinician: str) -> tuple[UUID, UUID | None] | None:
    try:
        return UUID(tenant), UUID(clinician) if clinician else None
    except ValueError:
        return None


def _remember(response: Response, door: Door, session: Session, request: Request) -> None:
    remember(response, door.signer, session, secure=request.url.scheme == "https")
