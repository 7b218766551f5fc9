"""Request bodies: read with a limit on size and time, and split into events."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator, Mapping
from itertools import islice

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from services.ingest import strict_json
from services.platform.problems import Fault, ProblemError

SINGLE_BYTES = 256 * 1024
BATCH_BYTES = 16 * 1024 * 1024
BATCH_EVENTS = 10_000
JSON_TYPES = ("application/json", "application/cloudevents+json")
NDJSON_TYPES = ("application/x-ndjson", "application/jsonl", "application/x-jsonlines")
ARRAY_TYPES = ("application/json", "application/cloudevents-batch+json")


Headers = Mapping[bytes, bytes]
"""By lower-case name."""


def media_type(headers: Headers) -> str:
    return headers.get(b"content-type", b"").decode("latin-1").split(";")[0].strip().lower()


async def read(request: Request, headers: Headers, *, most: int, seconds: float) -> bytes:
    """The whole body.

    Raises:
        ProblemError: 413 too large, 408 too slow, 415 encoded.
        ClientDisconnect: nobody is there any more.
    """
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise ProblemError(415, "bodies are taken as they are, not compressed")
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length) > most:
        raise too_large(most)
    try:
        async with asyncio.timeout(seconds):
            return await _collect(request.receive, most)
    except TimeoutError:
        raise ProblemError(408, f"the body did not arrive within {seconds:g} seconds") from None


async def _collect(receive: Receive, most: int) -> bytes:
    parts: list[bytes] = []
    count, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        count += len(parts[-1])
        if count > most:
            raise too_large(most)
        more = message.get("more_body", False)
    return b"".join(parts)


def too_large(most: int) -> ProblemError:
    return ProblemError(413, f"at most {most // 1024} KiB are taken; send several batches")


def single(body: bytes) -> object:
    """The one event of a body.

    Raises:
        ProblemError: 400, not JSON that we take.
    """
    try:
        return strict_json.decode(body)
    except strict_json.BadJson as error:
        raise ProblemError(400, str(error), errors=[Fault(pointer="", detail=str(error))]) from None


def several(body: bytes, kind: str) -> list[object]:
    """The events of a batch; in NDJSON a line that is no JSON is a `BadJson` in its place.

    Raises:
        ProblemError: 400 not an array, 413 too many.
    """
    events: object = list(islice(_lines(body), BATCH_EVENTS + 1)) if kind in NDJSON_TYPES else single(body)
    if not isinstance(events, list):
        raise ProblemError(400, "a batch is a JSON array, or NDJSON as application/x-ndjson")
    if len(events) > BATCH_EVENTS:
        raise ProblemError(413, f"at most {BATCH_EVENTS} events are taken; send several batches")
    return events


def _lines(body: bytes) -> Iterator[object]:
    """One at a time: millions of tiny lines are refused without being read."""
    return (_line(line) for line in io.BytesIO(body) if line.strip())


def _line(line: bytes) -> object:
    try:
        return strict_json.decode(line)
    except strict_json.BadJson as error:
        return error
