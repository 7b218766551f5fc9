"""What a probe may ask of every process: /healthz (the loop turns), /readyz (it can do its work), /metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

Check = Callable[[], Awaitable[None]]
"""Returns when all is well, raises when not."""
CHECK_SECONDS = 2.0


async def _state(check: Check) -> str:
    try:
        await asyncio.wait_for(check(), CHECK_SECONDS)
    except Exception as error:  # noqa: BLE001 - a probe's answer is the type of whatever went wrong
        return type(error).__name__
    return "ok"


def routes(registry: CollectorRegistry, checks: Mapping[str, Check]) -> list[Route]:
    """The three probe routes, to mount in a service's own application or to serve alone."""

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_: Request) -> Response:
        states = await asyncio.gather(*(_state(check) for check in checks.values()))
        ready = all(state == "ok" for state in states)
        body = {"status": "ready" if ready else "not-ready", "checks": dict(zip(checks, states, strict=True))}
        return JSONResponse(body, status_code=200 if ready else 503)

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]


def app(registry: CollectorRegistry, checks: Mapping[str, Check]) -> Starlette:
    """An application with nothing but the probes, for processes that have no door of their own."""
    return Starlette(routes=list(routes(registry, checks)))


class Server(uvicorn.Server):
    """uvicorn inside somebody else's loop: signals stay the process's own."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def server(application: ASGIApp, *, host: str, port: int, graceful_seconds: int = 5) -> Server:
    """A server to `await serve()`; set `should_exit` to end it, in-flight requests within `graceful_seconds`."""
    config = uvicorn.Config(
        application,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=graceful_seconds,
    )
    return Server(config)
