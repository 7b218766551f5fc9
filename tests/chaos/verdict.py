"""What a fault did: lost, doubled, wrong, and whether the receipts tell the truth."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass

import httpx

from tests.whole_road import Road, undisturbed, until

SAMPLE = 60
DOUBLED = """
    select (select count(*) - count(distinct (episode_id, kind, rating_id, rule)) from alerts.alert
            where tenant_id = :tenant and state in ('open', 'acknowledged') and rating_id is not null)
         + (select count(*) from (select 1 from alerts.step where tenant_id = :tenant and action = 'opened'
            group by alert_id having count(*) > 1) as twice)
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Counts; all of them should be 0."""

    lost: int
    doubled: int
    wrong: int
    untrue: int

    @property
    def whole(self) -> bool:
        return not (self.lost or self.doubled or self.wrong or self.untrue)


async def judge(road: Road) -> Verdict:
    """Once nothing moves any more: what everything accepted ended in, beside a run that nothing happened to."""
    facts = await road.facts()
    held = {str(fact.fact_id) for fact in facts}
    expected = await asyncio.to_thread(undisturbed, facts)
    readings, standing = await road.readings(), await road.standing()
    differing = {
        key for key in readings.keys() | expected.readings.keys() if readings.get(key) != expected.readings.get(key)
    }
    return Verdict(
        lost=len(road.accepted - held),
        doubled=await road.count(DOUBLED) + len(held - road.accepted),
        wrong=len(differing) + len(standing ^ expected.standing),
        untrue=await _untrue(road),
    )


async def _untrue(road: Road) -> int:
    """How many receipts of a sample do not say published and scored."""
    chosen = random.Random(1).sample(sorted(road.accepted), min(SAMPLE, len(road.accepted)))
    async with httpx.AsyncClient(base_url=road.stack.address("ingest"), headers=road.headers, timeout=30) as client:
        receipts = [(await client.get(f"/v1/events/{fact_id}")).json() for fact_id in chosen]
    return sum(not (each.get("published") and each.get("outcome") == "scored") for each in receipts)


async def whole_again(road: Road, *, within: float = 180) -> float:
    """Seconds until everything accepted so far is scored and decided upon."""
    began = time.monotonic()
    accepted = len(road.accepted)

    async def caught_up() -> bool:
        decided = "select coalesce(sum(facts), 0) from alerts.episode where tenant_id = :tenant"
        return await road.scored() >= accepted <= await road.count(decided)

    await until(caught_up, "everything accepted is scored and decided", within=within)
    return time.monotonic() - began
