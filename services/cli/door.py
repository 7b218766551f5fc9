"""Speaking to ingest's HTTP door: batches, one clock a batch, again and again until there is an answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import httpx

from services.platform.errors import ConfigurationError, Refused, Unavailable

TRANSIENT: Final = frozenset({429, 502, 503, 504})
TRIES: Final = 12
LONGEST_PAUSE: Final = 15.0
TIMEOUT: Final = httpx.Timeout(60.0, connect=5.0)

Answers = list[dict[str, Any]]
Pause = Callable[[float], Awaitable[None]]


@dataclass(slots=True)
class Door:
    """Posts with one key. Repeating is safe: the same id and version is the same event, however often it arrives."""

    client: httpx.AsyncClient
    key: str
    pause: Pause = asyncio.sleep
    tries: int = TRIES

    async def post_batch(self, bodies: Sequence[bytes], clock: datetime | None = None) -> Answers:
        """One answer per event, in their order; each has at least `status`.

        Raises:
            Refused: the key is not valid or lacks a scope, or the request as a whole is not taken.
            Unavailable: no answer, after many tries.
        """
        headers = self._headers("application/x-ndjson", clock)
        answer = await self._send("/v1/events:batch", b"\n".join(bodies), headers)
        if answer.is_error:
            raise _refused(answer)
        results = answer.json()
        found: Answers = results["results"] if isinstance(results, dict) else results
        return found

    async def post_one(self, body: bytes, clock: datetime | None = None) -> dict[str, Any]:
        """The answer to a single event."""
        answer = await self._send("/v1/events", body, self._headers("application/json", clock))
        if answer.status_code in {401, 403}:
            raise _refused(answer)
        found: dict[str, Any] = answer.json()
        return found | {"status": answer.status_code}

    async def get(self, path: str, **query: str) -> Any:  # noqa: ANN401 - JSON
        """What a path answers.

        Raises:
            Refused: an error.
            Unavailable: no answer.
        """
        try:
            answer = await self.client.get(path, params=query, headers=self._headers("application/json", None))
        except httpx.TransportError:
            raise self._silent() from None
        if answer.is_error:
            raise _refused(answer)
        return answer.json()

    def _headers(self, kind: str, clock: datetime | None) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": kind}
        return headers | ({"Attune-Clock": clock.isoformat()} if clock else {})

    async def _send(self, path: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
        for attempt in range(self.tries):
            try:
                answer = await self.client.post(path, content=body, headers=headers)
            except httpx.TransportError:
                await self.pause(wait_seconds(attempt, None))
                continue
            if answer.status_code not in TRANSIENT:
                return answer
            await self.pause(wait_seconds(attempt, answer.headers.get("Retry-After")))
        raise self._silent()

    def _silent(self) -> Unavailable:
        return Unavailable(
            f"no answer from {self.client.base_url}",
            hint="look at `attune status`, then run this again: what was posted is recognised",
        )


def wait_seconds(attempt: int, retry_after: str | None) -> float:
    """As long as the door asks for, else longer from try to try.

    >>> wait_seconds(0, None), wait_seconds(3, None), wait_seconds(9, None), wait_seconds(0, "2")
    (0.25, 2.0, 15.0, 2.0)
    """
    if retry_after and retry_after.isdigit():
        return min(float(retry_after), 60.0)
    return min(0.25 * 2.0**attempt, LONGEST_PAUSE)


def _refused(answer: httpx.Response) -> Refused:
    detail = ""
    if "json" in answer.headers.get("Content-Type", ""):
        problem = answer.json()
        detail = str(problem.get("detail") or problem.get("title") or "")
    hints = {
        401: "give a valid key: --key-file, ATTUNE_API_KEY, or `attune keys create`",
        403: "make a key that may: `attune keys create --scope ...`",
        404: "is --url the address of ingest?",
        413: "post in smaller batches: --batch 200",
    }
    return Refused(
        f"the door answers {answer.status_code}{f': {detail}' if detail else ''}",
        hint=hints.get(answer.status_code, "see its log: `attune status` says where"),
    )


@asynccontextmanager
async def open_door(url: str, key: str) -> AsyncIterator[Door]:
    """A door to an address; proxies of the environment do not stand before this machine.

    Raises:
        ConfigurationError: no http address.
    """
    if not url.startswith(("http://", "https://")):
        raise ConfigurationError("the address must start with http:// or https://", hint="--url http://127.0.0.1:8700")
    if not key.isascii() or not key.isprintable() or not key.strip():
        raise Refused("that is no API key: it is empty, or has characters that no key has", hint="is --key-file right?")
    local = url.startswith(("http://127.", "http://localhost"))
    async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT, trust_env=not local) as client:
        yield Door(client, key)
