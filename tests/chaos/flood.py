"""More posts than a system takes, from a process of its own: `flood URL SECONDS DAYS_AGO < KEY`.

Batches of new clients' ratings by many senders who do not come back later when told to. Printed as JSON: answers by
status, how many said 429 or 503 without Retry-After, and the ids of the events that were taken.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

BATCHES_AT_ONCE, BATCH, SINGLES_AT_ONCE = 8, 500, 16
SESSIONS = 20
TAKEN = (200, 201)
BACK_OFF = (429, 503)
PAUSE_SECONDS = 0.1
"""So that the flood is not all refusals: those cost the door little, and us a core."""


@dataclass
class Seen:
    statuses: Counter[int] = field(default_factory=Counter)
    unhinted: int = 0
    unanswered: int = 0
    ids: list[str] = field(default_factory=list)

    def saw(self, answer: httpx.Response) -> bool:
        """Count it; whether something was taken."""
        self.statuses[answer.status_code] += 1
        self.unhinted += answer.status_code in BACK_OFF and "retry-after" not in answer.headers
        return answer.status_code in TAKEN


def posts(back: timedelta) -> Iterator[dict[str, Any]]:
    """Twenty sessions of a client, then the next client's, up to so long ago."""
    begin = datetime.now(UTC).replace(microsecond=0) - back
    number = 0
    while True:
        client, session = divmod(number, SESSIONS)
        yield {
            "type": "rating.submitted",
            "id": f"F-{back.days}-{client}-{session}",
            "client": f"F-{client}",
            "clinician": f"T-{client % 40}",
            "session": f"F-{back.days}-{client}-{session}",
            "occurred_at": (begin - timedelta(minutes=SESSIONS - session)).isoformat(),
            "rating": {"instrument": "srs@3", "total": 30.0 + (client + session) % 7},
        }
        number += 1


async def batches(client: httpx.AsyncClient, some: Iterator[dict[str, Any]], seen: Seen, until: float) -> None:
    body = _batch(some)
    while time.monotonic() < until:
        try:
            answer = await client.post("/v1/events:batch", content=body, headers={"Content-Type": "application/json"})
        except httpx.HTTPError:
            seen.unanswered += 1
            continue
        if not seen.saw(answer):
            await asyncio.sleep(PAUSE_SECONDS)
            continue
        results = answer.json()["results"]
        seen.ids += [each["id"] for each in results if each["status"] in TAKEN]
        seen.statuses.update(each["status"] for each in results if each["status"] not in TAKEN)
        body = _batch(some)


def _batch(some: Iterator[dict[str, Any]]) -> bytes:
    return json.dumps(list(itertools.islice(some, BATCH))).encode()


async def singles(client: httpx.AsyncClient, some: Iterator[dict[str, Any]], seen: Seen, until: float) -> None:
    while time.monotonic() < until:
        try:
            answer = await client.post("/v1/events", json=next(some))
        except httpx.HTTPError:
            seen.unanswered += 1
            continue
        if seen.saw(answer):
            seen.ids.append(answer.json()["id"])
        await asyncio.sleep(PAUSE_SECONDS)


async def main(url: str, seconds: float, back: timedelta) -> Seen:
    seen, some, until = Seen(), posts(back), time.monotonic() + seconds
    headers = {"Authorization": f"Bearer {sys.stdin.read().strip()}"}
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60, limits=limits) as client:
        senders = [batches(client, some, seen, until) for _ in range(BATCHES_AT_ONCE)]
        senders += [singles(client, some, seen, until) for _ in range(SINGLES_AT_ONCE)]
        await asyncio.gather(*senders)
    return seen


if __name__ == "__main__":
    found = asyncio.run(main(sys.argv[1], float(sys.argv[2]), timedelta(days=float(sys.argv[3]))))
    sys.stdout.write(json.dumps(vars(found)))
