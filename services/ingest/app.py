"""The door's wiring."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi_offline import FastAPIOffline
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.ingest import api, documents
from services.ingest.clinics import Clinics
from services.ingest.group import GroupCommit
from services.ingest.handlers import pointer
from services.ingest.letterbox import Letterbox
from services.ingest.metrics import IngestMetrics
from services.ingest.settings import IngestSettings
from services.ingest.shares import Slots
from services.ingest.store import Store
from services.ingest.tail import Tail
from services.platform import db, health, problems
from services.platform.auth import Keys
from services.platform.clock import Clock, SystemClock
from services.platform.forever import forever
from services.platform.vault import Vault, VaultKeys

TITLE = "Attune: what happened in care"
AGAIN_SECONDS = 0.1


def build_app(settings: IngestSettings, *, clock: Clock | None = None) -> FastAPI:
    """The ASGI application with its background work; it needs PostgreSQL to serve, Kafka only to tell outcomes."""
    clock = clock or SystemClock()
    engine = db.create_engine(settings, db.BY_INDEX)
    metrics = IngestMetrics()
    store = Store(engine, Vault(VaultKeys.from_settings(settings)))
    group = GroupCommit(store, metrics, most_waiting=settings.ingest_queue, most_together=settings.ingest_group)
    door = api.Door(
        settings=settings,
        engine=engine,
        keys=Keys(engine, clock),
        clock=clock,
        clinics=Clinics(engine, clock),
        group=group,
        batches=Slots(settings.ingest_batches),
    )

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        posts = forever("ingest.group", group.run, pause=AGAIN_SECONDS)
        tail, letterbox = Tail(settings, engine, metrics), Letterbox(settings, engine, metrics)
        tasks = [asyncio.create_task(each) for each in (posts, tail.run(), letterbox.run())]
        yield
        await _end(tasks, engine)

    app = FastAPIOffline(
        title=TITLE, version="1", lifespan=lifespan, exception_handlers=problems.HANDLERS, redoc_url=None
    )
    app.add_exception_handler(RequestValidationError, _on_bad_path)
    events = api.routes(door)
    app.include_router(events)
    app.router.routes.extend(health.routes(metrics.registry, {"database": lambda: db.ping(engine)}))
    app.openapi = _openapi(app)  # type: ignore[method-assign]  # FastAPI's documented way
    app.middleware_stack = _Counting(api.Straight(app.build_middleware_stack(), api.posts(events)), metrics)
    return app


async def _end(tasks: list[asyncio.Task[None]], engine: AsyncEngine) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await engine.dispose()


async def _on_bad_path(_: Request, error: Exception) -> Response:
    """A receipt's id that is no id."""
    assert isinstance(error, RequestValidationError)
    faults = [
        problems.Fault(pointer=pointer(list(each["loc"])), detail=str(each["type"]), expected="a UUID")
        for each in error.errors()
    ]
    problem = problems.ProblemError(422, "the request is not as documented", errors=faults).problem
    return problems.respond(problem)


@dataclass(frozen=True, slots=True)
class _Counting:
    """Counts answers by status; plain ASGI, as the framework's own middleware costs more than the route."""

    app: ASGIApp
    metrics: IngestMetrics
    counts: dict[int, Counter] = field(default_factory=dict)

    def _count(self, status: int) -> None:
        if status not in self.counts:
            self.counts[status] = self.metrics.requests.labels(status)
        self.counts[status].inc()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._count(message["status"])
            await send(message)

        await self.app(scope, receive, counted if scope["type"] == "http" else send)


def _openapi(app: FastAPI) -> Any:  # noqa: ANN401 - FastAPI's own
    @cache
    def describe() -> dict[str, Any]:
        described = get_openapi(title=TITLE, version=app.version, routes=app.routes, openapi_version="3.1.0")
        return documents.complete(described)

    return describe
