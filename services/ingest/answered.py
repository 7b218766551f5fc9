"""Waits until whatever was published before a moment has been answered, without guessing how long that takes.

Kafka says how far things are: facts lie below the end of `session-events`, scoring has committed its offsets past that
end, its answers lie below the ends of `alliance-scores` and `dead-letters`, and the receipts' tail has read past those.
While scoring is down or lags, the waiting goes on: nothing is taken for lost that is only late.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from itertools import chain, repeat

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.topics import ALLIANCE_SCORES, DEAD_LETTERS, SESSION_EVENTS, Topic
from services.platform import kafka
from services.platform.db import transaction
from services.platform.errors import Unavailable
from services.platform.settings import Settings

SCORING_GROUP = "attune-scoring"
"""services.scoring's group: part of what an installation's Kafka holds, like a topic's name."""
ANSWERS = (ALLIANCE_SCORES, DEAD_LETTERS)
POLL_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Between looks, the last for good: what is nearly there is seen at once, what takes hours is seldom asked for."""
Offsets = Mapping[TopicPartition, int]
Told = Callable[[int], None]
_READ = text("select topic, partition, next_offset from ingest.tail_offset")


async def until_answered(settings: Settings, engine: AsyncEngine, behind: Told = lambda _: None) -> None:
    """Return once all that was in `session-events` at the call is answered, and the answers noted.

    `behind` is told, now and then, how many records scoring or the receipts' tail have still to read.
    """
    async with looking(settings) as looker:
        facts = await ends(settings, looker, SESSION_EVENTS)
        await _until_read(looker, facts, lambda: _committed(looker, facts), behind)
        answers = await ends(settings, looker, *ANSWERS)
        await _until_read(looker, answers, lambda: _noted(engine), behind)


async def _until_read(
    looker: AIOKafkaConsumer, wanted: Offsets, reached: Callable[[], Awaitable[Offsets]], behind: Told
) -> None:
    pauses = chain(POLL_SECONDS, repeat(POLL_SECONDS[-1]))
    while waiting := await _unread(looker, wanted, await reached()):
        behind(waiting)
        await asyncio.sleep(next(pauses))


@asynccontextmanager
async def looking(settings: Settings) -> AsyncIterator[AIOKafkaConsumer]:
    """A client that may ask for scoring's offsets, and never joins its group."""
    looker = kafka.consumer(settings, group=SCORING_GROUP)
    try:
        await looker.start()
        yield looker
    finally:
        await looker.stop()


async def ends(settings: Settings, looker: AIOKafkaConsumer, *topics: Topic) -> dict[TopicPartition, int]:
    """Where these topics end now.

    Raises:
        Unavailable: one of them does not exist.
    """
    names = [settings.topic(topic.name) for topic in topics]
    admin = AIOKafkaAdminClient(**kafka.connection(settings))
    try:
        await admin.start()
        described = await admin.describe_topics(names)
    finally:
        await admin.close()
    missing = [each["topic"] for each in described if not each["partitions"]]
    if missing:
        raise Unavailable(f"no topic {', '.join(missing)}", hint="attune topics create")
    places = [TopicPartition(each["topic"], one["partition"]) for each in described for one in each["partitions"]]
    return dict(await looker.end_offsets(places))


async def _committed(looker: AIOKafkaConsumer, places: Offsets) -> dict[TopicPartition, int]:
    looker.assign(list(places))
    return {place: await looker.committed(place) or 0 for place in places}


async def _noted(engine: AsyncEngine) -> dict[TopicPartition, int]:
    async with transaction(engine) as connection:
        rows = await connection.execute(_READ)
        return {TopicPartition(row.topic, row.partition): row.next_offset for row in rows}


async def _unread(looker: AIOKafkaConsumer, wanted: Offsets, reached: Offsets) -> int:
    """How many records are still to be read of what was there at first. A log that lost them has none to wait for."""
    begins, now = await looker.beginning_offsets(list(wanted)), await looker.end_offsets(list(wanted))
    left = 0
    for place, end in wanted.items():
        goal = min(end, now[place])
        left += max(0, goal - reached.get(place, 0)) if goal > begins[place] else 0
    return left
