"""The HTTP door."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from schemas.events import Clock as FactClock
from schemas.posted import Instant
from services.ingest import bodies, documents, envelopes, receipts
from services.ingest.clinics import Clinics
from services.ingest.draft import BOOKED_AHEAD, EARLIEST, Draft, Receiving
from services.ingest.group import GroupCommit
from services.ingest.handlers import read, told
from services.ingest.settings import IngestSettings
from services.ingest.shares import Full, Slots
from services.ingest.strict_json import BadJson
from services.ingest.verdicts import Accepted
from services.platform.auth import Keys, Principal
from services.platform.clock import Clock
from services.platform.problems import HANDLERS, TITLES, Fault, Problem, ProblemError

CLOCK_HEADER = b"attune-clock"
_INSTANT: TypeAdapter[datetime] = TypeAdapter(Instant)
_STATUS = {"created": 201, "known": 200, "conflict": 409, "episode-full": 422, "refused": 422, "failed": 500}
_REFUSALS = {
    "conflict": "this id and version were posted before with another body; a correction takes the next version",
    "episode-full": "this episode holds as many facts as one may (5,000)",
    "refused": "the event does not fit what is known of these clients",
    "failed": "an error of ours, not of the event; the others are not touched by it",
}


@dataclass(frozen=True, slots=True)
class Door:
    """What the routes need."""

    settings: IngestSettings
    engine: AsyncEngine
    keys: Keys
    clock: Clock
    clinics: Clinics
    group: GroupCommit
    batches: Slots


def routes(door: Door) -> APIRouter:
    """The routes under /v1."""
    router = APIRouter(prefix="/v1", tags=["events"])

    @router.post("/events", **documents.POST_EVENT)
    async def post_event(request: Request) -> Response:
        headers = _headers(request)
        receiving = await _receiving(door, headers)
        event = await _single(door, request, headers)
        draft = read(event, receiving)
        if not isinstance(draft, Draft):
            raise ProblemError(422, told(draft), errors=draft)
        return _answer(await _commit(door, draft))

    @router.post("/events:batch", **documents.POST_BATCH)
    async def post_batch(request: Request) -> Response:
        headers = _headers(request)
        receiving = await _receiving(door, headers)
        try:
            with door.batches.taken(receiving.tenant_id):
                return await _batch(door, request, headers, receiving)
        except Full:
            raise _come_back("as many batches as may are being worked on") from None

    @router.get("/events/{event_id}", **documents.GET_RECEIPT)
    async def get_receipt(request: Request, event_id: UUID) -> Response:
        principal = await door.keys.authenticate(request.headers.get("authorization"))
        principal.require("receipts:read")
        found = await receipts.find(door.engine, principal.tenant_id, event_id)
        if found is None:
            raise HTTPException(404)
        return Json(200, found.model_dump_json().encode())

    return router


class Json(Response):
    """An answer of ours that nobody may store. Its headers are known: the framework spells them out each time."""

    media_type = "application/json"

    def __init__(self, status: int, body: bytes, *, location: str | None = None) -> None:
        self.status_code, self.body, self.background = status, body, None
        self.raw_headers = [
            (b"content-type", b"application/json"),
            (b"cache-control", b"no-store"),
            (b"content-length", str(len(body)).encode()),
        ]
        if location is not None:
            self.raw_headers.append((b"location", location.encode()))


Endpoint = Callable[[Request], Awaitable[Response]]


def posts(router: APIRouter) -> dict[str, Endpoint]:
    """The endpoints that take events, by path."""
    documented = (each for each in router.routes if isinstance(each, APIRoute) and not each.dependant.path_params)
    return {each.path: each.endpoint for each in documented if "POST" in (each.methods or ())}


@dataclass(frozen=True, slots=True)
class Straight:
    """Takes posts to their endpoints without the framework's work, which costs more than the event's check.

    The endpoints take the request and give the answer themselves, so it has nothing to do but to document them.
    """

    app: ASGIApp
    posts: Mapping[str, Endpoint]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self.posts.get(scope.get("path", "")) if scope.get("method") == "POST" else None
        if endpoint is None:
            return await self.app(scope, receive, send)
        request = Request(scope, receive)
        try:
            answer = await endpoint(request)
        except ClientDisconnect:
            return None  # in mid-body: nothing was taken, nobody listens
        except Exception as error:  # noqa: BLE001 - the outermost: whatever it is gets its answer here
            answer = await HANDLERS.get(type(error), HANDLERS[Exception])(request, error)
        return await answer(scope, receive, send)


# ----------------------------------------------------------------------------------------------- who and when


def _headers(request: Request) -> dict[bytes, bytes]:
    """The first of each name: a look-up by the framework reads all of them."""
    return dict(reversed(request.scope["headers"]))


async def _receiving(door: Door, headers: Mapping[bytes, bytes]) -> Receiving:
    principal = await door.keys.authenticate(headers.get(b"authorization", b"").decode("latin-1"))
    principal.require("events:write")
    now, clock = _clock(door, headers, principal)
    clinic = await door.clinics.of(principal.tenant_id)
    return Receiving(principal.tenant_id, now, clock, clinic.historical_after)


def _clock(door: Door, headers: Mapping[bytes, bytes], principal: Principal) -> tuple[datetime, FactClock]:
    """By which clock the event is received: ours, or the feed's own."""
    told = headers.get(CLOCK_HEADER)
    if told is None:
        return door.clock.now(), "wall"
    principal.require("clock")
    try:
        at = _INSTANT.validate_python(told.decode("latin-1"))
    except ValidationError:
        raise ProblemError(400, "Attune-Clock is a date and time with its UTC offset (RFC 3339)") from None
    if not EARLIEST <= at <= door.clock.now() + BOOKED_AHEAD:
        raise ProblemError(400, f"Attune-Clock is from 1990 to {BOOKED_AHEAD.days} days from now")
    return at, "feed"


# ---------------------------------------------------------------------------------------------------- one event


async def _single(door: Door, request: Request, headers: Mapping[bytes, bytes]) -> object:
    kind, binary = bodies.media_type(headers), b"ce-specversion" in headers
    if kind not in bodies.JSON_TYPES:
        raise ProblemError(415, f"one event is {' or '.join(bodies.JSON_TYPES)}")
    body = await bodies.read(request, headers, most=bodies.SINGLE_BYTES, seconds=door.settings.ingest_body_seconds)
    event = bodies.single(body)
    return envelopes.from_binary(request.headers, event) if binary else envelopes.plain(event)


async def _commit(door: Door, draft: Draft) -> Accepted:
    try:
        return await door.group.accept(draft)
    except Full:
        raise _come_back("more events wait than may") from None


def _come_back(why: str) -> ProblemError:
    return ProblemError(429, f"{why}; come back in a second", headers={"Retry-After": "1"})


def _answer(accepted: Accepted) -> Response:
    status = _STATUS[accepted.verdict]
    if accepted.received_at is None:
        raise ProblemError(status, _REFUSALS[accepted.verdict], errors=_place(accepted))
    return Json(status, msgspec.json.encode(_receipt(accepted)), location=f"/v1/events/{accepted.fact_id}")


def _place(accepted: Accepted) -> list[Fault]:
    if accepted.fault is not None:
        return [accepted.fault]
    pointer = {"conflict": "/id", "episode-full": "/episode"}.get(accepted.verdict)
    return [] if pointer is None else [Fault(pointer=pointer, detail=accepted.verdict)]


def _receipt(accepted: Accepted) -> dict[str, Any]:
    return {"id": accepted.fact_id, "received": accepted.received_at}


# ------------------------------------------------------------------------------------------------------ a batch


async def _batch(door: Door, request: Request, headers: Mapping[bytes, bytes], receiving: Receiving) -> Response:
    kind = bodies.media_type(headers)
    if kind not in bodies.ARRAY_TYPES + bodies.NDJSON_TYPES:
        raise ProblemError(415, f"a batch is {', '.join(bodies.ARRAY_TYPES + bodies.NDJSON_TYPES)}")
    body = await bodies.read(request, headers, most=bodies.BATCH_BYTES, seconds=door.settings.ingest_body_seconds)
    events = await asyncio.to_thread(bodies.several, body, kind)
    return Json(200, msgspec.json.encode({"results": await _in_slices(door.group, events, receiving)}))


async def _in_slices(group: GroupCommit, events: Sequence[object], receiving: Receiving) -> list[dict[str, Any]]:
    """What became of each event. The next slice is read, in a thread, while one is committed."""
    results: list[dict[str, Any]] = []
    committing: asyncio.Task[list[dict[str, Any]]] | None = None
    place = 0
    try:
        while place < len(events):
            part = events[place : place + group.slice]
            drafts = await asyncio.to_thread(_read_all, part, receiving)
            results += await committing if committing else []
            committing = asyncio.create_task(_slice(group, receiving.tenant_id, place, drafts))
            place += len(part)
        return results + (await committing if committing else [])
    finally:
        if committing:
            committing.cancel()  # where the caller has gone: what is not committed yet is not


async def _slice(
    group: GroupCommit, tenant: UUID, first: int, events: Sequence[Draft | Problem]
) -> list[dict[str, Any]]:
    """The results of one slice, which begins at this place of its batch."""
    accepted = iter(await group.commit_slice(tenant, [each for each in events if isinstance(each, Draft)]))
    return [
        _result(place, next(accepted)) if isinstance(each, Draft) else _refused(place, each)
        for place, each in enumerate(events, first)
    ]


def _read_all(events: Sequence[object], receiving: Receiving) -> list[Draft | Problem]:
    return [_read_one(event, receiving) for event in events]


def _read_one(event: object, receiving: Receiving) -> Draft | Problem:
    if isinstance(event, BadJson):
        return Problem(title=TITLES[400], status=400, detail=str(event))
    read_event = read(envelopes.plain(event), receiving)
    return read_event if isinstance(read_event, Draft) else _faulty(read_event)


def _faulty(faults: Sequence[Fault]) -> Problem:
    return Problem(title=TITLES[422], status=422, detail=told(faults), errors=list(faults))


def _result(place: int, accepted: Accepted) -> dict[str, Any]:
    status = _STATUS[accepted.verdict]
    if accepted.received_at is not None:
        return {"index": place, "status": status, **_receipt(accepted)}
    faults = [accepted.fault] if accepted.fault else []
    detail = _REFUSALS[accepted.verdict]
    return _refused(place, Problem(title=TITLES[status], status=status, detail=detail, errors=faults))


def _refused(place: int, problem: Problem) -> dict[str, Any]:
    return {"index": place, "status": problem.status, "problem": problem.model_dump(exclude_none=True)}
