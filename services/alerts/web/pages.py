"""The caseload and the client page: read, check who is looking, print."""

from __future__ import annotations

from math import ceil
from typing import TypedDict
from uuid import UUID

from starlette.responses import RedirectResponse, Response

from services.alerts.web.client_view import client_page
from services.alerts.web.door import Door, Form, NotFound, Visit, render
from services.alerts.web.queries import PAGE_SIZE, Counts, Show
from services.alerts.web.records import Case
from services.alerts.web.views import caseload_row
from services.alerts.web.words import RESOLUTIONS, count


class Tab(TypedDict):
    name: str
    href: str
    count: int
    current: bool


class Empty(TypedDict):
    title: str
    text: str
    href: str
    link: str


_EMPTY: dict[Show, Empty] = {
    "alerts": {
        "title": "Nothing waits for you",
        "text": "No alert is open. That is not a finding: inviting criticism is worth it at any score.",
        "href": "/?show=care",
        "link": "See everyone in care",
    },
    "care": {
        "title": "No one in care yet",
        "text": "Clients appear here with their first rating or appointment.",
        "href": "",
        "link": "",
    },
    "all": {
        "title": "No clients yet",
        "text": "Clients appear here with their first rating or appointment.",
        "href": "",
        "link": "",
    },
}


async def caseload(door: Door, visit: Visit) -> Response:
    show, page = _show(visit), _page(visit)
    return await _caseload(door, visit, show, page)


async def search(door: Door, visit: Visit, form: Form) -> Response:
    """By exact reference only, and never in an address: references are personal."""
    found = await door.records.find(visit.viewer, form.get("reference", "").strip())
    if found is None:
        return await _caseload(door, visit, "care", 1, missed_search=True)
    return RedirectResponse(f"/clients/{found}", 303)


async def client(door: Door, visit: Visit) -> Response:
    cases = await door.records.client(visit.viewer, visit.request.path_params["client_id"])
    if not cases:
        raise NotFound
    people = {case.snapshot.client_id for case in cases} | {case.snapshot.owner_id for case in cases}
    references = await door.records.references(visit.viewer, people, purpose="client page")
    now = await door.records.now(visit.viewer.tenant_id)
    page = client_page(cases, _chosen(visit, cases), references, RESOLUTIONS, now=now)
    return render(door.templates, "client.html", {**await _frame(door, visit, references), "page": page})


async def acknowledge(door: Door, visit: Visit, form: Form) -> Response:
    del form
    alert_id, client_id = await _theirs(door, visit)
    await door.acts.acknowledge(visit.viewer.tenant_id, alert_id, by=visit.viewer.actor)
    return RedirectResponse(f"/clients/{client_id}", 303)


async def resolve(door: Door, visit: Visit, form: Form) -> Response:
    reason = form.get("reason", "")
    if reason not in RESOLUTIONS:
        raise NotFound
    alert_id, client_id = await _theirs(door, visit)
    await door.acts.resolve(visit.viewer.tenant_id, alert_id, by=visit.viewer.actor, reason=reason)
    return RedirectResponse(f"/clients/{client_id}", 303)


async def _theirs(door: Door, visit: Visit) -> tuple[UUID, UUID]:
    """The alert in the address and its client, only for somebody who may see them."""
    alert_id: UUID = visit.request.path_params["alert_id"]
    client_id = await door.records.client_of(visit.viewer, alert_id)
    if client_id is None:
        raise NotFound
    return alert_id, client_id


async def _caseload(door: Door, visit: Visit, show: Show, page: int, *, missed_search: bool = False) -> Response:
    viewer = visit.viewer
    cases, counts = await door.records.caseload(viewer, show, page)
    people = {case.snapshot.client_id for case in cases}
    supervising = viewer.clinician_id is None
    owners = {case.snapshot.owner_id for case in cases} if supervising else set()
    references = await door.records.references(viewer, people | owners, purpose="caseload")
    now = await door.records.now(viewer.tenant_id)
    pages = max(1, ceil(counts[show] / PAGE_SIZE))
    context = {
        "heading": "Every client of the clinic" if supervising else "Your caseload",
        "summary": _summary(counts),
        "tabs": _tabs(counts, show),
        "rows": [caseload_row(case, references, now=now, show_owner=supervising) for case in cases],
        "empty": _EMPTY[show],
        "missed_search": missed_search,
        "page": page,
        "pages": pages,
        "older_href": f"/?show={show}&page={page - 1}",
        "newer_href": f"/?show={show}&page={page + 1}",
    }
    return render(door.templates, "caseload.html", {**await _frame(door, visit, references), **context})


async def _frame(door: Door, visit: Visit, references: dict[UUID, str]) -> dict[str, object]:
    """What the top of every page shows."""
    viewer = visit.viewer
    name = references.get(viewer.clinician_id, "Clinician") if viewer.clinician_id else "Supervisor"
    return {
        "viewer_name": name,
        "tenant_name": await door.records.tenant_name(viewer.tenant_id),
        "csrf": door.signer.csrf(visit.session),
    }


def _summary(counts: Counts) -> str:
    waiting = count(counts["alerts"], "client has", "clients have")
    return f"{waiting} something to look at. {counts['care']} in care."


def _tabs(counts: Counts, show: Show) -> list[Tab]:
    names: dict[Show, str] = {"alerts": "To look at", "care": "In care", "all": "All, with ended care"}
    return [
        {"name": name, "href": f"/?show={each}", "count": counts[each], "current": each == show}
        for each, name in names.items()
    ]


def _show(visit: Visit) -> Show:
    asked = visit.request.query_params.get("show")
    return "alerts" if asked == "alerts" else "all" if asked == "all" else "care"


def _page(visit: Visit) -> int:
    asked = visit.request.query_params.get("page", "1")
    return max(1, int(asked)) if asked.isascii() and asked.isdigit() and len(asked) < 6 else 1


def _chosen(visit: Visit, cases: list[Case]) -> Case:
    """The episode asked for, or the first, which is the current one."""
    asked = visit.request.query_params.get("episode")
    return next((case for case in cases if str(case.snapshot.episode_id) == asked), cases[0])
