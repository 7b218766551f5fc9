"""What every page passes through: the session, the token of a form, the templates, and the headers of every answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from services.alerts.web.acts import Acts
from services.alerts.web.queries import Records
from services.alerts.web.records import Viewer
from services.alerts.web.session import Session, Signer, current
from services.platform.clock import Clock

HERE = Path(__file__).parent
STATIC = "/static"
MAX_FORM_BYTES = 8_192
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}
Form = Mapping[str, str]


class NotFound(Exception):
    """There is no such thing for this viewer, whether or not it exists for another."""


@dataclass(frozen=True, slots=True)
class Door:
    """What the pages are made of."""

    templates: Environment
    signer: Signer
    records: Records
    acts: Acts
    clock: Clock


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of somebody who is signed in."""

    request: Request
    session: Session
    viewer: Viewer


Handler = Callable[[Door, Visit], Awaitable[Response]]
FormHandler = Callable[[Door, Visit, Form], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


def templates() -> Environment:
    """Autoescape always; a name that a page forgot to give is an error, not an empty space."""
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(static=STATIC, local=True, viewer_name=None, tenant_name=None, csrf=None)
    return environment


def signed_in(door: Door, handler: Handler) -> Endpoint:
    """A page for somebody: others are sent to the sign-in."""

    async def endpoint(request: Request) -> Response:
        visit = _visit(door, request)
        if visit is None:
            return sealed(RedirectResponse("/login", 303))
        return await answered(door, handler(door, visit))

    return endpoint


def posted(door: Door, handler: FormHandler) -> Endpoint:
    """A form of somebody signed in, with the token of that session."""

    async def endpoint(request: Request) -> Response:
        visit = _visit(door, request)
        if visit is None:
            return sealed(RedirectResponse("/login", 303))
        form = await read_form(door, request, visit.session)
        if form is None:
            return sealed(not_ours(door))
        return await answered(door, handler(door, visit, form))

    return endpoint


async def answered(door: Door, answer: Awaitable[Response]) -> Response:
    try:
        return sealed(await answer)
    except NotFound:
        return sealed(not_found(door))


async def read_form(door: Door, request: Request, session: Session) -> Form | None:
    """The fields of a form that this session was given, or `None` for anything else."""
    size = request.headers.get("content-length", "")
    if not size.isascii() or not size.isdigit() or int(size) > MAX_FORM_BYTES:
        return None
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return None
    form = {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
    return form if door.signer.is_ours(session, form.get("csrf", "")) else None


def render(environment: Environment, template: str, context: Mapping[str, object], status: int = 200) -> HTMLResponse:
    return HTMLResponse(environment.get_template(template).render(context), status)


def not_found(door: Door) -> Response:
    return _message(
        door,
        404,
        heading="Nothing here for you",
        text="Either there is no such page, or it belongs to a client whose care is not with you.",
    )


def not_ours(door: Door) -> Response:
    return _message(
        door,
        403,
        heading="This form has expired",
        text="Nothing was changed. Please go back, reload the page and try again.",
    )


def sealed(response: Response) -> Response:
    """With the headers that every answer carries."""
    response.headers.update(HEADERS)
    return response


def _message(door: Door, status: int, *, heading: str, text: str) -> Response:
    context = {"heading": heading, "text": text, "href": "/", "link": "To the caseload"}
    return render(door.templates, "message.html", context, status)


def _visit(door: Door, request: Request) -> Visit | None:
    session = current(door.signer, request, door.clock.now())
    if session is None or session.viewer is None:
        return None
    return Visit(request, session, session.viewer)
