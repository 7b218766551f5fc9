"""A cheap HTTP/1.1 client in a process of its own: `sender PORT PATH KEY SECONDS CONNECTIONS`.

Bodies come on standard input, one a line; printed is the number of answers a second, then median and 99th percentile
in milliseconds. Requests are made before the clock starts, answers are read by their Content-Length.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from collections.abc import Iterator

import uvloop

GOOD = (b"200", b"201", b"204")


async def _one(port: int, requests: Iterator[bytes], until: float, took: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for request in requests:
        began = time.perf_counter()
        if began > until:
            break
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head[9:12] in GOOD, head
        length = _length(head)
        if length:
            await reader.readexactly(length)
        took.append(time.perf_counter() - began)
    writer.close()


def _length(head: bytes) -> int:
    at = head.lower().find(b"content-length: ")
    return 0 if at < 0 else int(head[at + 16 : head.index(b"\r", at)])


def _requests(path: str, key: str, bodies: list[bytes]) -> list[bytes]:
    head = f"POST {path} HTTP/1.1\r\nHost: door\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
    return [b"%sContent-Length: %d\r\n\r\n%s" % (head.encode(), len(body), body) for body in bodies]


async def _main(port: int, path: str, key: str, seconds: float, connections: int) -> None:
    requests = _requests(path, key, sys.stdin.buffer.read().splitlines())
    shares = [itertools.islice(requests, number, None, connections) for number in range(connections)]
    took: list[float] = []
    began = time.perf_counter()
    await asyncio.gather(*(_one(port, iter(share), began + seconds, took) for share in shares))
    lasted = time.perf_counter() - began
    took.sort()
    middle, slow = (took[int(len(took) * share)] * 1_000 for share in (0.5, 0.99))
    sys.stdout.write(f"{len(took) / lasted} {middle} {slow}\n")


if __name__ == "__main__":
    uvloop.run(_main(int(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4]), int(sys.argv[5])))
