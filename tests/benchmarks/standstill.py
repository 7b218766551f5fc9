"""How long facts wait while scoring workers come, go and die: 2,000 clients, 150 facts a second."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

from schemas import codec, events
from tests.benchmarks.harness import Question, Row, alone
from tests.scoring_facts import caseload
from tests.scoring_worker import Road, road, scoring_settings, worker
from tests.stack import running

CLIENTS, SESSIONS, PER_SECOND, WATCHED_SECONDS = 2_000, 6, 150, 10.0
LIVE = 7_000


def _asked(name: str, what: str) -> Question:
    return Question(f"standstill-{name}", f"longest wait of a fact when {what}", "-", "ms", at_most=10_000)


JOINS = _asked("joins", "a scoring worker joins, 2,000 clients")
LEAVES = _asked("leaves", "one leaves in order")
DIES = _asked("dies", "one is killed (6 s of it the session time-out)")


@dataclass
class _Feed:
    """Facts posted at a steady pace, when, and when each was answered."""

    topics: Road
    sent: dict[UUID, float] = field(default_factory=dict)
    answered: dict[UUID, float] = field(default_factory=dict)

    async def post(self, facts: Sequence[events.Fact]) -> None:
        for fact in facts:
            self.sent[fact.fact_id] = time.monotonic()
            record = codec.encode_fact(fact)
            await self.topics.post_raw(record.key, record.value, record.headers)
            await asyncio.sleep(1 / PER_SECOND)

    async def watch(self) -> None:
        while True:
            await self.topics.read()
            now = time.monotonic()
            for fact in self.sent.keys() & self.topics.answered - self.answered.keys():
                self.answered[fact] = now

    async def longest(self) -> float:
        """Of the facts posted from now on for a while, in milliseconds."""
        since = time.monotonic()
        await asyncio.sleep(WATCHED_SECONDS)  # the window that is looked at
        waits = [at - self.sent[fact] for fact, at in self.answered.items() if self.sent[fact] >= since]
        return 1_000 * max(waits)


@asynccontextmanager
async def _feeding(topics: Road, facts: Sequence[events.Fact]) -> AsyncIterator[_Feed]:
    feed = _Feed(topics)
    tasks = [asyncio.create_task(feed.post(facts)), asyncio.create_task(feed.watch())]
    try:
        yield feed
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def rows(rounds: int) -> list[Row]:  # noqa: ARG001 - once is half a minute; its own rounds would be many
    facts = caseload(5, CLIENTS, SESSIONS)
    async with running() as stack:
        settings = scoring_settings(stack.kafka.bootstrap, "standstill-")
        async with road(settings) as topics, worker(settings, ATTUNE_SCORING_INSTANCE="a"):
            await topics.post(facts[:-LIVE])
            await topics.until_answered(facts[:-LIVE], 120)
            async with _feeding(topics, facts[-LIVE:]) as feed, worker(settings, ATTUNE_SCORING_INSTANCE="b") as second:
                joins = await feed.longest()
                async with worker(settings, ATTUNE_SCORING_INSTANCE="c") as third:
                    await feed.longest()
                    third.send(signal.SIGTERM)
                    leaves = await feed.longest()
                second.send(signal.SIGKILL)
                dies = await feed.longest()
    return [alone(JOINS, [joins]), alone(LEAVES, [leaves]), alone(DIES, [dies])]
