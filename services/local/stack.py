"""The whole system on one machine: Kafka and PostgreSQL, then topics and migrations, then the services."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.local import place, ports, probes
from services.local.child import Service
from services.local.home import Home
from services.local.kafka import KafkaNode
from services.local.ports import LOOPBACK
from services.local.postgres import OWNER, PostgresServer
from services.local.settings import CHECKOUT, LocalSettings
from services.local.setup import Toolchain
from services.local.supervisor import Supervisor

Step = Callable[[Mapping[str, str]], Awaitable[None]]
"""Something to do once Kafka and PostgreSQL are ready; given the environment that services get."""


@dataclass(frozen=True, slots=True)
class Program:
    """One of our own services, as data."""

    name: str
    module: str
    port_setting: str
    role: str | None = None
    opens: str = ""
    """A path worth opening in a browser."""


SERVICES = (
    Program("ingest", "services.ingest", "ingest_port", role="attune_ingest", opens="/docs"),
    Program("relay", "services.ingest.relay", "relay_port", role="attune_relay"),
    Program("scoring", "services.scoring", "scoring_port"),
    Program("alerts", "services.alerts", "alerts_port", role="attune_alerts", opens="/"),
)


@dataclass(slots=True)
class LocalStack:
    """Parts of one installation, and their life.

    `base` is the environment that children inherit; `steps` run once Kafka and PostgreSQL are ready, together.
    """

    settings: LocalSettings
    tools: Toolchain
    base: Mapping[str, str]
    programs: Sequence[Program] = SERVICES
    steps: Sequence[Step] = ()
    home: Home = field(init=False)
    kafka: KafkaNode = field(init=False)
    postgres: PostgresServer = field(init=False)
    supervisor: Supervisor = field(init=False)
    _ports: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.home = Home(self.settings.home.absolute())
        self.supervisor = Supervisor(self.home.logs, self._write_status)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[LocalStack]:
        """Hold the home, start everything, and stop it at the end, whatever happens in between.

        Raises:
            HomeInUse: another copy runs in this home.
            ChildFailed: something did not become ready.
        """
        with self.home.locked():
            try:
                await self.start()
                yield self
            finally:
                await self.supervisor.stop()

    async def start(self) -> None:
        """Kafka and PostgreSQL together, then the steps together, then the services together."""
        self.home.prepare()
        self._choose()
        await asyncio.gather(asyncio.to_thread(self.kafka.prepare), asyncio.to_thread(self.postgres.prepare))
        await self.supervisor.start([self.kafka.service(self.base), self.postgres.service(self.base)])
        await self.postgres.create_database()
        environment = self.environment(OWNER)
        await asyncio.gather(*(step(environment) for step in self.steps))
        await self.supervisor.start([self._service(program) for program in self.programs])

    def environment(self, role: str | None = None, port: int | None = None) -> dict[str, str]:
        """What one of our processes is told."""
        told = {
            "ATTUNE_ENVIRONMENT": "local",
            "ATTUNE_HOME": str(self.home.root),
            "ATTUNE_SECRETS_DIR": str(self.home.secrets),
            "ATTUNE_KAFKA_BOOTSTRAP": self.kafka.bootstrap,
            "ATTUNE_KAFKA_TOPIC_PREFIX": self.settings.kafka_topic_prefix,
            "ATTUNE_HTTP_HOST": LOOPBACK,
        }
        if role:
            told["ATTUNE_DATABASE_URL"] = self.postgres.url(role)
        if port:
            told |= {"ATTUNE_HTTP_PORT": str(port), "ATTUNE_HEALTH_PORT": str(port)}
        return {**self.base, **told}

    def address(self, name: str) -> str:
        """Where one of our services listens."""
        return f"http://{LOOPBACK}:{self._ports[name]}"

    def _choose(self) -> None:
        """Ports and places; defaults that are taken give way to free ones, which the status tells."""
        wanted = [int(getattr(self.settings, program.port_setting)) for program in self.programs]
        broker, controller, *rest = ports.choose(self.settings.kafka_port, 0, *wanted)
        self._ports = {program.name: port for program, port in zip(self.programs, rest, strict=True)}
        self.kafka = KafkaNode(self.home.kafka, self.tools.java, self.tools.jars, broker, controller)
        where = place.find(self.home.root, self.settings.sockets)
        self.postgres = PostgresServer(where, self.settings.durable)

    def _service(self, program: Program) -> Service:
        address = self.address(program.name)
        return Service(
            name=program.name,
            command=(sys.executable, "-m", program.module),
            probe=probes.http(f"{address}/readyz"),
            environment=self.environment(program.role, self._ports[program.name]),
            address=address,
            folder=CHECKOUT if (CHECKOUT / "pyproject.toml").exists() else Path.cwd(),
            extra={"opens": f"{address}{program.opens}"} if program.opens else {},
        )

    def _write_status(self, services: dict[str, Any]) -> None:
        if not hasattr(self, "postgres"):
            return
        self.home.write_status(
            {
                "pid": os.getpid(),
                "kafka_bootstrap": self.kafka.bootstrap,
                "database_url": self.postgres.url(OWNER),
                "services": services,
            }
        )


async def run_until_signal(
    stack: LocalStack, stop: asyncio.Event, ready: Callable[[LocalStack], Awaitable[None]]
) -> None:
    """Run the stack until `stop` is set, also in the middle of its start; `ready` is called once all are.

    `ready` may last: when it ends by itself the stack stays up, when `stop` is set first it is cancelled.

    Raises:
        AttuneError: whatever kept the stack from starting, or `ready` from its work.
    """
    ended = asyncio.create_task(stop.wait())
    life = asyncio.create_task(_live(stack, ready))
    await asyncio.wait({ended, life}, return_when=asyncio.FIRST_COMPLETED)
    ended.cancel()
    if not life.done():
        life.cancel()
    with suppress(asyncio.CancelledError):
        await life


async def _live(stack: LocalStack, ready: Callable[[LocalStack], Awaitable[None]]) -> None:
    async with stack.running():
        await ready(stack)
        await asyncio.Event().wait()
