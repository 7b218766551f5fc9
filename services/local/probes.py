"""Ways to ask a process whether it can do its work."""

from __future__ import annotations

import asyncio

import httpx
from aiokafka import AIOKafkaClient
from aiokafka.errors import KafkaError

from services.local.child import Probe
from services.local.ports import LOOPBACK
from services.platform.errors import Unavailable


def http(url: str) -> Probe:
    """2xx from an address on this machine."""

    async def ask() -> None:
        try:
            async with httpx.AsyncClient(trust_env=False) as client:
                answer = await client.get(url, timeout=2.0)
        except httpx.HTTPError as error:
            raise Unavailable(f"no answer from {url}") from error
        if not answer.is_success:
            raise Unavailable(f"{url} answers {answer.status_code}")

    return ask


def kafka(port: int) -> Probe:
    """A real metadata request."""

    async def ask() -> None:
        await _accepts(port)
        client = AIOKafkaClient(bootstrap_servers=f"{LOOPBACK}:{port}")
        try:
            await client.bootstrap()
        except KafkaError as error:
            raise Unavailable("no metadata from Kafka") from error
        finally:
            await client.close()

    return ask


async def _accepts(port: int) -> None:
    """Whether anybody listens; cheaper than a client, and silent."""
    _, writer = await asyncio.open_connection(LOOPBACK, port)
    writer.close()
    await writer.wait_closed()
