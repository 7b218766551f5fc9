"""`python -m services.ingest.relay`."""

from __future__ import annotations

import asyncio
import contextlib

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from sqlalchemy.ext.asyncio import AsyncEngine

from services.ingest.metrics import RelayMetrics
from services.ingest.models import OUTBOX
from services.ingest.rebuild import Rebuilder
from services.ingest.reconcile import Reconciler
from services.ingest.relay.downstream import Downstream
from services.ingest.relay.observer import PublicationNotes
from services.ingest.settings import RelaySettings
from services.platform import db, health, logs, process
from services.platform.clock import SystemClock
from services.platform.forever import forever
from services.platform.outbox import Lane, Relay, producer, statements

COUNT_SECONDS = 5.0


async def _serve(stop: asyncio.Event) -> None:
    settings = RelaySettings()
    logs.configure("relay", settings.log_level)
    engine, metrics = db.create_engine(settings), RelayMetrics()
    checks = {"database": lambda: db.ping(engine)}
    probes = health.server(health.app(metrics.registry, checks), host=settings.http_host, port=settings.http_port)
    serving = asyncio.create_task(probes.serve())
    counting = asyncio.create_task(forever("relay.backlog", lambda: _count(engine, metrics), pause=COUNT_SECONDS))
    reconciling = asyncio.create_task(Reconciler(settings, engine, metrics).run())
    rebuilding = asyncio.create_task(Rebuilder(settings, engine, metrics).run())
    downstream = Downstream(settings, metrics)
    looking = asyncio.create_task(downstream.run())
    await _publish(settings, engine, metrics, downstream, stop)
    probes.should_exit = True
    for beside in (counting, reconciling, rebuilding, looking):
        beside.cancel()
    await downstream.close()
    await serving
    await engine.dispose()


async def _publish(
    settings: RelaySettings, engine: AsyncEngine, metrics: RelayMetrics, downstream: Downstream, stop: asyncio.Event
) -> None:
    """With one producer after the other: one that Kafka has given up is replaced, the outbox keeps its rows."""
    observer = PublicationNotes(metrics, SystemClock())
    while (made := await _connected(settings, stop)) is not None:
        try:
            await Relay(engine, made, OUTBOX, settings.kafka_topic_prefix, observer, readers=downstream).run(stop)
        except KafkaError as error:
            observer.failed(type(error).__name__)
            logs.get("relay").warning("producer lost, taking a new one", reason=type(error).__name__)
        finally:
            with contextlib.suppress(KafkaError):
                await made.stop()


async def _connected(settings: RelaySettings, stop: asyncio.Event) -> AIOKafkaProducer | None:
    """A producer, once Kafka answers; until then the outbox keeps everything."""
    while not stop.is_set():
        made = producer(settings)
        try:
            await made.start()
        except KafkaError as error:
            logs.get("relay").warning("no Kafka yet", reason=type(error).__name__)
            await made.stop()
            await asyncio.sleep(1)
        else:
            return made
    return None


async def _count(engine: AsyncEngine, metrics: RelayMetrics) -> None:
    """How much waits and since when, for dashboards."""
    async with engine.connect() as connection:
        counted = (await connection.execute(statements.backlog(OUTBOX), {"lanes": list(Lane)})).all()
    for lane, rows, seconds in counted:
        metrics.waiting.labels(Lane(lane).name.lower()).set(rows)
        metrics.oldest_seconds.labels(Lane(lane).name.lower()).set(seconds or 0.0)


if __name__ == "__main__":
    process.run(_serve)
