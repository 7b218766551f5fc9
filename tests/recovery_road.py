"""The road in small, for tests of recovery: door, relay, a scoring worker, alerts' consumer, on topics of their own."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from rich.console import Console
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from schemas.topics import TOPICS
from services.alerts.adapters.batch import Taker
from services.alerts.adapters.decisions import Decisions
from services.alerts.consumer import Consumer
from services.alerts.domain.policy import DEFAULT
from services.alerts.metrics import AlertsMetrics
from services.alerts.settings import AlertsSettings
from services.cli.app import run
from services.cli.invocation import Invocation
from services.ingest.metrics import RelayMetrics
from services.ingest.models import OUTBOX
from services.ingest.rebuild import Rebuilder
from services.ingest.reconcile import Reconciler
from services.ingest.relay.observer import PublicationNotes
from services.ingest.settings import IngestSettings, RelaySettings
from services.local.stack import LocalStack
from services.platform import kafka
from services.platform.clock import SystemClock
from services.platform.outbox import Relay
from tests.clinic import Door, door, new_clinic, write_secrets
from tests.cut_log import cut
from tests.scoring_worker import Worker, scoring_settings, worker
from tests.stack import Database
from tests.whole_road import until

PARTITIONS = 4
WITHIN = 40.0


@dataclass
class SmallRoad:
    """Everything runs; what dies is started again by the test."""

    database: Database
    prefix: str
    bootstrap: str
    secrets: Path
    tenant: UUID
    name: str
    door: Door
    engines: dict[str, AsyncEngine]
    posted: int = 0
    alerts: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """What `attune` is told."""
        return {
            "ATTUNE_KAFKA_BOOTSTRAP": self.bootstrap,
            "ATTUNE_KAFKA_TOPIC_PREFIX": self.prefix,
            "ATTUNE_KAFKA_PARTITIONS": str(PARTITIONS),
            "ATTUNE_DATABASE_URL": self.database.url("attune_operator"),
            "ATTUNE_SECRETS_DIR": str(self.secrets),
        }

    def settings(self, of: type[Any], role: str) -> Any:  # noqa: ANN401 - of the type asked for
        return of(
            environment="local",
            kafka_bootstrap=self.bootstrap,
            kafka_topic_prefix=self.prefix,
            kafka_partitions=PARTITIONS,
            kafka_session_timeout_ms=6_000,
            database_url=self.database.url(role),
            secrets_dir=self.secrets,
        )

    def engine(self, role: str) -> AsyncEngine:
        return self.engines.setdefault(role, create_async_engine(self.database.url(role), pool_size=4))

    # ------------------------------------------------------------------ its parts

    @contextlib.asynccontextmanager
    async def relaying(self) -> AsyncIterator[None]:
        stop = asyncio.Event()
        task = asyncio.create_task(self._relay(stop))
        try:
            yield
        finally:
            stop.set()
            await asyncio.wait_for(task, 10)

    async def _relay(self, stop: asyncio.Event) -> None:
        """As the relay's process does: a producer that Kafka does not know any more is replaced."""
        notes = PublicationNotes(RelayMetrics(), SystemClock())
        while not stop.is_set():
            producer = kafka.producer(self.settings(RelaySettings, "attune_relay"), linger_ms=0)
            try:
                await producer.start()
                await Relay(self.engine("attune_relay"), producer, OUTBOX, self.prefix, notes).run(stop)
            except KafkaError:
                await asyncio.sleep(0.2)
            finally:
                await producer.stop()

    @contextlib.asynccontextmanager
    async def alerting(self) -> AsyncIterator[Consumer]:
        settings, metrics = self.settings(AlertsSettings, "attune_alerts"), AlertsMetrics()
        engine = self.engine("attune_alerts")
        consumer = Consumer(settings, engine, Taker(engine, Decisions(DEFAULT, metrics), SystemClock()), metrics)
        task = asyncio.create_task(consumer.run())
        try:
            yield consumer
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def scoring(self) -> AsyncIterator[Worker]:
        async with worker(scoring_settings(self.bootstrap, self.prefix)) as running:
            await until(running.ready, "the worker is ready", within=WITHIN)
            yield running
            running.send(signal.SIGTERM)  # killed, its partitions would be nobody's for as long as a session lasts
            await running.ended(WITHIN)

    def rebuilder(self) -> Rebuilder:
        settings = self.settings(RelaySettings, "attune_relay")
        return Rebuilder(settings, self.engine("attune_relay"), RelayMetrics())

    def reconciler(self, age_seconds: float = 0) -> Reconciler:
        settings = self.settings(RelaySettings, "attune_relay")
        settings = settings.model_copy(update={"reconcile_age_seconds": age_seconds})
        return Reconciler(settings, self.engine("attune_relay"), RelayMetrics())

    async def recreate_topics(self, *names: str) -> None:
        """Delete topics (all of them where none is named) and make them anew, empty."""
        settings = self.settings(RelaySettings, "attune_relay")
        gone = [settings.topic(topic.name) for topic in TOPICS if not names or topic.name in names]
        admin = AIOKafkaAdminClient(**kafka.connection(settings))
        await admin.start()
        await admin.delete_topics(gone)

        async def none() -> bool:
            return not set(gone) & set(await admin.list_topics())

        await until(none, "the topics are gone", within=WITHIN)
        await admin.close()

        async def again() -> bool:
            with contextlib.suppress(Exception):
                await kafka.create_topics(settings)
                return True
            return False

        await until(again, "the topics are there again", within=WITHIN)

    async def lose_the_end(self, stack: LocalStack, since_ms: int) -> None:
        """Kafka loses what it acknowledged from then on, of this road's topics, and comes up again."""
        child = stack.supervisor.child("kafka")
        before = child.report()["pid"]
        os.killpg(before, signal.SIGSTOP)
        assert cut(stack.kafka.data, since_ms, lambda topic: topic.startswith(self.prefix))
        os.killpg(before, signal.SIGKILL)

        async def again() -> bool:
            report = child.report()
            return bool(report["state"] == "ready" and report["pid"] != before)

        await until(again, "Kafka is up again", within=WITHIN)

    # ------------------------------------------------------------------ told and looked at

    async def attune(self, *arguments: str, code: int = 0) -> str:
        """A command, as an operator types it: its results, then whatever else it says."""
        out, said = io.StringIO(), io.StringIO()
        console = Console(file=out, width=240, soft_wrap=True)
        made = Invocation(self.environment, out=console, say=Console(file=said, width=240))
        ended = await asyncio.to_thread(run, arguments, made)
        told = out.getvalue() + said.getvalue()
        assert ended == code, told
        return told

    async def caught_up(self, consumer: Consumer) -> None:
        """Alerts has taken in all that Kafka has for it."""

        async def whether() -> bool:
            return consumer.caught_up

        await until(whether, "alerts has taken everything in", within=WITHIN)

    async def post(self, events: list[dict[str, Any]]) -> None:
        results = await self.door.batch(events)
        assert {each["status"] for each in results} == {201}
        self.posted += len(events)

    async def ask(self, query: str, **values: object) -> Any:  # noqa: ANN401 - one value
        async with self.engine("postgres").begin() as connection:
            found = await connection.execute(text(query), {"tenant": self.tenant, **values})
            return found.scalar() if found.returns_rows else None

    async def until_seen(self, query: str) -> None:
        async def seen() -> bool:
            return bool(await self.ask(query))

        await until(seen, query, within=WITHIN)

    async def settled(self) -> None:
        """Everything posted is answered and decided upon."""

        async def done() -> bool:
            answered = await self.ask("select count(*) from ingest.outcome where tenant_id = :tenant")
            decided = await self.ask("select sum(facts) from alerts.episode where tenant_id = :tenant")
            return bool(answered == self.posted == decided)

        await until(done, "everything posted is answered and decided upon", within=WITHIN)


@contextlib.asynccontextmanager
async def small_road(database: Database, bootstrap: str, prefix: str, folder: Path) -> AsyncIterator[SmallRoad]:
    """Topics, a clinic and its door; the other parts are the test's to start."""
    tenant, key = await new_clinic(database, "clinic")
    secrets = write_secrets(folder / "secrets")
    settings = IngestSettings(
        environment="local",
        kafka_bootstrap=bootstrap,
        kafka_topic_prefix=prefix,
        kafka_partitions=PARTITIONS,
        kafka_session_timeout_ms=6_000,
        database_url=database.url("attune_ingest"),
        secrets_dir=secrets,
    )
    await kafka.create_topics(settings)
    async with door(settings, key) as opened:
        road = SmallRoad(database, prefix, bootstrap, secrets, tenant, "clinic", opened, {})
        yield road
    for engine in road.engines.values():
        await engine.dispose()
