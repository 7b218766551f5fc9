"""The system with something of the tests' own in between: proxies before its parts, clocks of its own, small disks."""

from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields

from services.local.kafka import KafkaNode
from services.local.ports import LOOPBACK, choose
from services.local.postgres import DATABASE
from services.local.stack import LocalStack
from tests.chaos.proxy import Proxy


@dataclass(frozen=True)
class KafkaBehind(KafkaNode):
    """A broker that sends whoever comes through the proxy back through it: a listener whose address is the proxy's."""

    inner: int = 0
    proxy: int = 0

    def _settings(self) -> str:
        own, controller = f"PLAINTEXT://{self.bootstrap}", f"CONTROLLER://{LOOPBACK}:{self.controller_port}"
        return KafkaNode._settings(self) + (  # what comes later counts
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,BEHIND:PLAINTEXT\n"
            f"listeners={own},{controller},BEHIND://{LOOPBACK}:{self.inner}\n"
            f"advertised.listeners={own},BEHIND://{LOOPBACK}:{self.proxy}\n"
        )


class BehindProxies(LocalStack):
    """Our processes reach Kafka and PostgreSQL through a proxy each; whoever looks on does not."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.to_kafka, self.to_postgres = Proxy(self._kafka), Proxy(self._postgres)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[LocalStack]:
        async with self.to_kafka.serving(), self.to_postgres.serving(), super().running():
            yield self

    def environment(self, role: str | None = None, port: int | None = None) -> dict[str, str]:
        told = super().environment(role, port)
        told["ATTUNE_KAFKA_BOOTSTRAP"] = f"{LOOPBACK}:{self.to_kafka.port}"
        if role:
            told["ATTUNE_DATABASE_URL"] = f"postgresql+asyncpg://{role}@{LOOPBACK}:{self.to_postgres.port}/{DATABASE}"
        return told

    def _choose(self) -> None:
        super()._choose()
        known = {each.name: getattr(self.kafka, each.name) for each in fields(KafkaNode)}
        (self._inner,) = choose(0)
        self.kafka = KafkaBehind(**known, inner=self._inner, proxy=self.to_kafka.port)

    async def _kafka(self) -> tuple[StreamReader, StreamWriter]:
        return await asyncio.open_connection(LOOPBACK, self._inner)

    async def _postgres(self) -> tuple[StreamReader, StreamWriter]:
        return await asyncio.open_unix_connection(str(self.postgres.place.socket / ".s.PGSQL.5432"))
