"""Under a steady load every part dies once. The long form, with every fault there is: `make chaos`."""

from __future__ import annotations

import pytest

from tests.chaos.faults import PARTS, killed
from tests.chaos.load import Load, care
from tests.chaos.verdict import Verdict, judge, whole_again
from tests.whole_road import whole_road

pytestmark = pytest.mark.timeout(240)


async def test_every_part_killed_once_under_load() -> None:
    """Ingest, relay, scoring, alerts, Kafka, PostgreSQL: nothing lost, doubled or wrong; receipts tell the truth."""
    async with whole_road() as road:
        async with Load(road, per_second=60).running(care(seed=1, clients=150)):
            for part in PARTS:
                await killed(part)(road)
                await whole_again(road)
        await road.settled()
        assert len(road.accepted) > 300, "hardly anything was posted: nothing is proved"
        assert await judge(road) == Verdict(lost=0, doubled=0, wrong=0, untrue=0)
