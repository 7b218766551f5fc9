"""A TCP proxy between our processes and a part: it can go silent, be slow, break off, and break off at a moment."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from services.local.ports import LOOPBACK

Reach = Callable[[], Awaitable[tuple[StreamReader, StreamWriter]]]
Recognise = Callable[[bytes], bool]
CHUNK = 65_536
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of no time at all: closing sends RST, as a firewall that lost its table does."""


@dataclass(eq=False, slots=True)
class Link:
    """One connection through the proxy."""

    client: StreamWriter
    server: StreamWriter
    doomed: bool = False
    """What the server answers next is not told: the connection breaks off instead."""

    def reset(self) -> None:
        for writer in (self.client, self.server):
            held = writer.get_extra_info("socket")
            if held.family != socket.AF_UNIX and not writer.is_closing():
                held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()


@dataclass(slots=True)
class Proxy:
    """Listens on a port of its own; where it leads to is asked for each connection, as a part may move."""

    reach: Reach
    port: int = 0
    delay: float = 0.0
    """Seconds that each byte takes longer, each way."""
    links: set[Link] = field(default_factory=set)
    _flowing: asyncio.Event = field(default_factory=asyncio.Event)
    _cutting: Recognise | None = None
    _cut: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Proxy]:
        """Listen; at the end nothing is left open."""
        self._flowing.set()
        server = await asyncio.start_server(self._serve, LOOPBACK, 0, limit=CHUNK)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.reset()
            while self.links:  # noqa: ASYNC110 - their tasks end by themselves, in a moment
                await asyncio.sleep(0.01)

    # ----------------------------------------------------------------- faults

    @asynccontextmanager
    async def silent(self) -> AsyncIterator[None]:
        """No byte passes, either way, and nobody is told: packets are lost, as between two halves of a network."""
        self._flowing.clear()
        try:
            yield
        finally:
            self._flowing.set()

    @asynccontextmanager
    async def slow(self, seconds: float) -> AsyncIterator[None]:
        self.delay = seconds
        try:
            yield
        finally:
            self.delay = 0.0

    def reset(self) -> int:
        """Break off every connection there is; how many."""
        broken = list(self.links)
        for link in broken:
            link.reset()
        return len(broken)

    async def cut_answer(self, to: Recognise, within: float) -> None:
        """Let the next such request through, then break off before its answer: done or not, its sender cannot know.

        Raises:
            TimeoutError: no such request came.
        """
        self._cut.clear()
        self._cutting = to
        try:
            await asyncio.wait_for(self._cut.wait(), within)
        finally:
            self._cutting = None

    # ------------------------------------------------------------------ bytes

    async def _serve(self, reader: StreamReader, client: StreamWriter) -> None:
        await self._flowing.wait()
        try:
            answers, server = await self.reach()
        except OSError:
            client.transport.abort()
            return
        link = Link(client, server)
        self.links.add(link)
        try:
            await asyncio.gather(self._asked(link, reader), self._answered(link, answers))
        finally:
            self.links.discard(link)

    async def _asked(self, link: Link, reader: StreamReader) -> None:
        def see(chunk: bytes) -> bool:
            if self._cutting is not None and self._cutting(chunk):
                self._cutting, link.doomed = None, True
            return True

        await self._pump(reader, link.server, see)

    async def _answered(self, link: Link, reader: StreamReader) -> None:
        def see(_: bytes) -> bool:
            if link.doomed:
                link.reset()
                self._cut.set()
            return not link.doomed

        await self._pump(reader, link.client, see)

    async def _pump(self, reader: StreamReader, writer: StreamWriter, passes: Recognise) -> None:
        """Chunks in their order, each as late as the proxy is slow, until either end is gone."""
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=64)
        reading = asyncio.create_task(self._read(reader, waiting))
        try:
            with contextlib.suppress(OSError):
                await self._write(waiting, writer, passes)
        finally:
            reading.cancel()
            writer.close()

    async def _read(self, reader: StreamReader, waiting: asyncio.Queue[tuple[float, bytes]]) -> None:
        now, chunk = asyncio.get_running_loop().time, b"-"
        while chunk:
            try:
                chunk = await reader.read(CHUNK)
            except OSError:
                chunk = b""
            await waiting.put((now() + self.delay, chunk))

    async def _write(
        self, waiting: asyncio.Queue[tuple[float, bytes]], writer: StreamWriter, passes: Recognise
    ) -> None:
        now = asyncio.get_running_loop().time
        while True:
            due, chunk = await waiting.get()
            if due > now():
                await asyncio.sleep(due - now())
            await self._flowing.wait()
            if not chunk or not passes(chunk):
                return
            writer.write(chunk)
            await writer.drain()
