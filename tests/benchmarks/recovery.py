"""The table of 100,000 clients after a lost disk, beside bare aiokafka reading the same changelog into a dictionary.

The table has no disk of its own, so every start is this one: a worker that returns under its name, an empty source
topic, all of the changelog. Both are timed as processes that just began: connecting, joining, reading to the committed
end. The changelog is written as a worker writes it (a transaction for each chunk of a partition), each client once, as
compaction leaves it.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import cast

import uvloop
from aiokafka import AIOKafkaProducer, TopicPartition
from faust.tables.manager import TableManager

from schemas.topics import EPISODES_CHANGELOG
from services.platform import kafka, process
from services.platform.dead_letters import RawRecord
from services.scoring.app import build_app
from services.scoring.settings import ScoringSettings
from services.scoring.transaction import producer, write
from tests.benchmarks.harness import Question, Row, beside, in_turn
from tests.benchmarks.memory import copies, states
from tests.benchmarks.scoring import module, told
from tests.stack import running

CLIENTS, SESSIONS, DIFFERENT, PARTITIONS, CHUNK = 100_000, 20, 300, 4, 500
ASKED = Question(
    "recovery",
    "the table of 100,000 clients of 20 sessions after a lost disk",
    "bare aiokafka reading the changelog",
    "clients/s",
    0.3,
)


async def rows(rounds: int) -> list[Row]:
    async with running() as stack:
        settings = ScoringSettings(
            kafka_bootstrap=stack.kafka.bootstrap, kafka_topic_prefix="recovery-", kafka_partitions=PARTITIONS
        )
        await kafka.create_topics(settings)
        size = await _write(settings)

        def run(kind: str) -> Callable[[], Awaitable[float]]:
            return lambda: told(settings, *module("recovery", kind))

        row = await in_turn(ASKED, run("ours"), run("bare"), rounds)
    note = f"{CLIENTS / row.ours:.0f} s, under 60 aimed at, for {size / 1e6:,.0f} MB"
    return [beside(ASKED, row.rounds, note)]


async def _write(settings: ScoringSettings) -> int:
    """The changelog, and how many bytes of states are in it. Neighbours differ, so that nothing compresses too well."""
    made = list(states(DIFFERENT, SESSIONS).values())
    random.Random(1).shuffle(made)
    producers = [producer(settings, number) for number in range(PARTITIONS)]
    await asyncio.gather(*(each.start() for each in producers))
    sizes = await asyncio.gather(*(_fill(settings, number, each, made) for number, each in enumerate(producers)))
    await asyncio.gather(*(each.stop() for each in producers))
    return sum(sizes)


async def _fill(settings: ScoringSettings, number: int, sender: AIOKafkaProducer, made: Sequence[bytes]) -> int:
    share, topic = CLIENTS // PARTITIONS, settings.topic(EPISODES_CHANGELOG.name)
    size = 0
    for start in range(number * share, (number + 1) * share, CHUNK):
        some = [RawRecord(each.key, each.value, ()) for each in copies(list(made), start, CHUNK)]
        await write(sender, number, [(topic, some)])
        size += sum(len(each.value or b"") for each in some)
    return size


# ------------------------------------------------------------------------------------------ one run, in a process


async def ours(settings: ScoringSettings) -> int:
    """Until a worker would say that it is ready."""
    app = build_app(settings)
    running_app = asyncio.create_task(app.start())
    recovery = cast("TableManager", app.tables).recovery
    while not recovery.completed.is_set() or app.rebalancing:  # noqa: ASYNC110 - looked at from outside
        await asyncio.sleep(0.005)
    found = len(app.episodes.data)
    running_app.cancel()
    return found


async def bare(settings: ScoringSettings) -> int:
    """Until the dictionary holds all that is committed."""
    consumer = kafka.consumer(settings, max_poll_records=8 * settings.scoring_chunk_records)
    await consumer.start()
    places = [TopicPartition(settings.topic(EPISODES_CHANGELOG.name), number) for number in range(PARTITIONS)]
    consumer.assign(places)
    await consumer.seek_to_beginning(*places)
    ends, table = await consumer.end_offsets(places), dict[bytes, bytes]()
    while [place for place in places if await consumer.position(place) < ends[place]]:
        for records in (await consumer.getmany(timeout_ms=100)).values():
            table.update([(record.key, record.value) for record in records])
    await consumer.stop()
    return len(table)


async def _main(kind: str) -> None:
    """Ends the process with its figure: what is torn down after it is not measured."""
    settings = ScoringSettings(scoring_instance="recovered")
    began = time.perf_counter()
    found = await (ours if kind == "ours" else bare)(settings)
    seconds = time.perf_counter() - began
    if found != CLIENTS:
        sys.exit(f"{found:,} clients came back of {CLIENTS:,}")
    sys.stdout.write(f"{CLIENTS / seconds}\n")


if __name__ == "__main__":
    process.tune()
    uvloop.run(_main(sys.argv[1]))
