"""A steady load of posts, by an EHR that posts again what got no answer, and the ledger of every 2xx."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from tests.whole_road import Road

PATIENCE = 120.0
"""How long an EHR tries one post before it calls somebody."""
AGAIN_SECONDS = 0.25
CARE, BETWEEN = timedelta(days=60), timedelta(hours=12)


def care(seed: int, clients: int) -> Iterator[dict[str, Any]]:
    """Ratings of a caseload, session by session, without end; some clients fall, some ratings are corrected.

    Where the next session would lie in the future, others are in care.
    """
    rng = random.Random(seed)
    begin = datetime.now(UTC).replace(microsecond=0) - CARE
    for first in itertools.count(step=clients):
        for session in range(CARE // BETWEEN):
            for client in range(first, first + clients):
                yield _rating(rng, client, session, begin)
                if rng.random() < 0.05:
                    yield _rating(rng, client, session, begin) | {"type": "rating.amended", "version": 2}


def _rating(rng: random.Random, client: int, session: int, begin: datetime) -> dict[str, Any]:
    fallen = 12 if client % 7 == 0 and session % 9 == 6 else 0
    total = round(min(40.0, max(0.0, 30 + client % 10 + rng.gauss(0, 1.5) - fallen)), 1)
    return {
        "type": "rating.submitted",
        "id": f"R-{client}-{session}",
        "client": f"C-{client}",
        "clinician": f"T-{client % 40}",
        "session": f"S-{client}-{session}",
        "occurred_at": (begin + session * BETWEEN + timedelta(minutes=client % 600)).isoformat(),
        "rating": {"instrument": "srs@3", "total": total},
    }


@dataclass
class Load:
    """Posts as long as it is told to. What it counts as accepted got its 2xx; nothing it was given is given up."""

    road: Road
    per_second: float
    """Where it posts is the road's address of `ingest`, asked for each post: a door may move."""
    senders: int = 8
    refused: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    _stopping: bool = False

    @asynccontextmanager
    async def running(self, posts: Iterator[dict[str, Any]]) -> AsyncIterator[Load]:
        """Post in the background; at the end every post that was begun has its 2xx."""
        senders = [asyncio.create_task(self._send(posts)) for _ in range(self.senders)]
        try:
            yield self
        finally:
            self._stopping = True
            await asyncio.gather(*senders)

    async def _send(self, posts: Iterator[dict[str, Any]]) -> None:
        async with httpx.AsyncClient(timeout=30) as client:
            for post in posts:
                began = time.monotonic()
                await self._until_accepted(client, post)
                self.seconds.append(time.monotonic() - began)
                await asyncio.sleep(max(0.0, self.senders / self.per_second - (time.monotonic() - began)))
                if self._stopping:
                    return

    async def _until_accepted(self, client: httpx.AsyncClient, post: dict[str, Any]) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            status = await self._post(client, post)
            if status in (200, 201):
                return
            assert status in (0, 429, 500, 502, 503, 504), f"a good event was refused with {status}"
            self.refused[status] += 1
            await asyncio.sleep(AGAIN_SECONDS)
        raise AssertionError(f"the door took no post for {PATIENCE:g} s")

    async def _post(self, client: httpx.AsyncClient, post: dict[str, Any]) -> int:
        """The status; 0 where no answer came."""
        try:
            address = f"{self.road.stack.address('ingest')}/v1/events"
            answer = await client.post(address, json=post, headers=self.road.headers)
        except httpx.HTTPError:
            return 0
        if answer.is_success:
            self.road.accepted.add(answer.json()["id"])
        return answer.status_code
