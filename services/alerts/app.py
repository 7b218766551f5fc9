"""The alerts process: consumer, sweep, its outbox's relay, the API and the clinician's pages."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from aiokafka.errors import KafkaError
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi_offline import FastAPIOffline
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.responses import Response

from services.alerts import api
from services.alerts.acts import LifeCycle
from services.alerts.adapters.batch import Taker
from services.alerts.adapters.decisions import Decisions
from services.alerts.consumer import Consumer
from services.alerts.domain.policy import POLICIES
from services.alerts.metrics import AlertsMetrics
from services.alerts.models import OUTBOX
from services.alerts.settings import AlertsSettings
from services.alerts.sweep import Sweep
from services.alerts.web import build_pages
from services.platform import db, health, logs, problems
from services.platform.auth import Keys
from services.platform.clock import Clock, SystemClock
from services.platform.errors import ConfigurationError
from services.platform.outbox import Relay, Row
from services.platform.outbox import producer as outbox_producer
from services.platform.vault import Vault, VaultKeys


@dataclass(slots=True)
class AlertsApp:
    """The ASGI application and the work beside it."""

    asgi: FastAPI
    consumer: Consumer
    sweep: Sweep
    relaying: _Relaying
    engine: AsyncEngine

    async def work(self, stop: asyncio.Event) -> None:
        """Consume, sweep and publish until `stop`; what cannot go on ends the process.

        Raises:
            LogReplaced, TooManyDeadLetters: see there.
        """
        tasks = [
            asyncio.create_task(self.consumer.run()),
            asyncio.create_task(self.sweep.run()),
            asyncio.create_task(self.relaying.run(stop)),
            asyncio.create_task(stop.wait()),
        ]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        await self.engine.dispose()
        for task in done:
            task.result()


def build_app(settings: AlertsSettings, *, clock: Clock | None = None) -> AlertsApp:
    """Wire everything. Needs PostgreSQL to serve, Kafka to hear of anything new.

    Raises:
        ConfigurationError: an unknown policy, or a secret that is missing or weak.
    """
    if settings.alerts_policy not in POLICIES:
        raise ConfigurationError(f"no policy named {settings.alerts_policy}", hint=f"one of {', '.join(POLICIES)}")
    clock = clock or SystemClock()
    engine, metrics = db.create_engine(settings), AlertsMetrics()
    vault = Vault(VaultKeys.from_settings(settings))
    decisions = Decisions(POLICIES[settings.alerts_policy], metrics)
    consumer = Consumer(settings, engine, Taker(engine, decisions, clock), metrics)
    acts = LifeCycle(engine, clock, metrics)
    asgi = _http(api.Desk(engine, Keys(engine, clock), vault, acts), settings, metrics, clock)
    sweep = Sweep(settings, engine, decisions, consumer, clock, metrics)
    return AlertsApp(asgi, consumer, sweep, _Relaying(settings, engine, metrics), engine)


def _http(desk: api.Desk, settings: AlertsSettings, metrics: AlertsMetrics, clock: Clock) -> FastAPI:
    app = FastAPIOffline(title="Attune: alerts", version="1", exception_handlers=problems.HANDLERS, redoc_url=None)
    app.add_exception_handler(RequestValidationError, _on_bad_request)
    app.include_router(api.routes(desk))
    app.router.routes.extend(health.routes(metrics.registry, {"database": lambda: db.ping(desk.engine)}))
    app.router.routes.extend(build_pages(desk.engine, desk.vault, desk.acts, settings, clock))
    return app


async def _on_bad_request(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = [_fault(each["loc"], str(each["type"])) for each in error.errors()]
    return problems.respond(problems.ProblemError(422, "the request is not as documented", errors=faults).problem)


def _fault(place: Sequence[object], kind: str) -> problems.Fault:
    return problems.Fault(pointer="/" + "/".join(str(part)[:64] for part in place), detail=kind.replace("_", " "))


@dataclass(slots=True)
class _Relaying:
    """Publishes alerts' own outbox to the topic `alerts`."""

    settings: AlertsSettings
    engine: AsyncEngine
    metrics: AlertsMetrics
    also: str = ""

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`, through every absence of Kafka; a producer that Kafka has given up is replaced."""
        while not stop.is_set():
            try:
                await self._publish(stop)
            except KafkaError as error:
                logs.get("alerts.relay").warning("no producer, taking a new one", reason=type(error).__name__)
                await asyncio.sleep(1)

    async def _publish(self, stop: asyncio.Event) -> None:
        producer = outbox_producer(self.settings)
        try:
            await producer.start()
            await Relay(self.engine, producer, OUTBOX, self.settings.kafka_topic_prefix, self, hands=1).run(stop)
        finally:
            with contextlib.suppress(KafkaError):
                await producer.stop()

    def published(self, rows: Sequence[Row]) -> None:
        self.metrics.published.inc(len(rows))

    def failed(self, reason: str) -> None:  # noqa: ARG002 - the relay logs it
        self.metrics.relay_failures.inc()
