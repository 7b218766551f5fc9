"""Workers come and go under load: whoever has a partition, the readings are the same."""

from __future__ import annotations

import asyncio
import signal

from tests.scoring_facts import caseload, latest, undisturbed
from tests.scoring_worker import Worker, eventually, road, scoring_settings, worker


async def partitions(each: Worker) -> int:
    """How many partitions a worker has lanes for, by its own metrics."""
    text = await each.metrics()
    return sum(line.startswith("attune_scoring_lag_records{") for line in text.splitlines())


async def test_one_two_three_workers_and_back(kafka_bootstrap: str, topic_prefix: str) -> None:
    """1, 2, 3 and 1 workers while facts arrive: nothing lost, nothing wrong, and each of the three had work."""
    settings = scoring_settings(kafka_bootstrap, topic_prefix)
    facts = caseload(seed=14, clients=80, sessions=12)
    quarter = len(facts) // 4
    async with road(settings) as topics, worker(settings, ATTUNE_SCORING_INSTANCE="a") as first:
        await topics.post(facts[:quarter])
        await topics.until_answered(facts[:quarter])
        async with (
            worker(settings, ATTUNE_SCORING_INSTANCE="b") as second,
            worker(settings, ATTUNE_SCORING_INSTANCE="c") as third,
        ):
            posting = asyncio.create_task(topics.post(facts[quarter : 3 * quarter]))

            async def shared() -> bool:
                held = [await partitions(each) for each in (first, second, third) if await each.ready()]
                return len(held) == 3 and all(held)

            await eventually(shared, 40)
            await posting
            await topics.until_answered(facts[: 3 * quarter])
            for leaving in (second, third):
                leaving.send(signal.SIGTERM)
            await topics.post(facts[3 * quarter :])
        await topics.until_answered(facts, 40)
        assert latest(topics.values()) == undisturbed(facts)
