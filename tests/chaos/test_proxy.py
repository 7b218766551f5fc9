"""The proxy does to a connection what it says: else the scenarios behind it prove nothing."""

from __future__ import annotations

import asyncio
import contextlib
import time
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator

import pytest

from services.local.ports import LOOPBACK
from tests.chaos.proxy import Proxy


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    """Before a server that says everything back."""

    async def echo(reader: StreamReader, writer: StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while line := await reader.read(100):
                writer.write(line)
        writer.close()

    server = await asyncio.start_server(echo, LOOPBACK, 0)
    port = server.sockets[0].getsockname()[1]
    async with Proxy(lambda: asyncio.open_connection(LOOPBACK, port)).serving() as proxy:
        yield proxy
    server.close()
    await asyncio.sleep(0)


@pytest.fixture
async def links() -> AsyncIterator[list[StreamWriter]]:
    """Clients' ends, closed at the end."""
    ends: list[StreamWriter] = []
    yield ends
    for end in ends:
        end.close()


async def says(proxy: Proxy, line: bytes, links: list[StreamWriter]) -> bytes:
    reader, writer = await asyncio.open_connection(LOOPBACK, proxy.port)
    links.append(writer)
    writer.write(line)
    return await reader.readexactly(len(line))


async def test_bytes_pass_late_or_not_at_all_as_told(proxy: Proxy, links: list[StreamWriter]) -> None:
    """As they are; slow, twice as late as each way takes; silent, not before it is over, and then all of them."""
    assert await says(proxy, b"plain", links) == b"plain"
    async with proxy.slow(0.05):
        began = time.monotonic()
        assert await says(proxy, b"slow", links) == b"slow"
        assert time.monotonic() - began >= 0.1
    async with proxy.silent():
        waiting = asyncio.create_task(says(proxy, b"silent", links))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(waiting), 0.1)
    assert await waiting == b"silent"


async def test_connections_break_off_before_an_answer(proxy: Proxy, links: list[StreamWriter]) -> None:
    """The request chosen is let through and its answer is not told; others' answers are."""
    cutting = asyncio.create_task(proxy.cut_answer(lambda chunk: b"commit" in chunk, 5))
    await asyncio.sleep(0)
    assert await says(proxy, b"select", links) == b"select"
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await says(proxy, b"commit", links)
    await cutting
    assert await says(proxy, b"commit", links) == b"commit"
    assert proxy.reset() == len(links) - 1
