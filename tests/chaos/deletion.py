"""Somebody deletes scoring's changelog, and nothing else, while all goes on."""

from __future__ import annotations

from aiokafka.admin import AIOKafkaAdminClient

from schemas.topics import EPISODES_CHANGELOG
from tests.chaos.faults import ended, ready
from tests.chaos.run import Run, Scenario
from tests.whole_road import Road, until


async def changelog_deleted(road: Road) -> None:
    """Deleted under a running worker, which makes it anew, empty, when it starts again; over when it is ready."""
    admin = AIOKafkaAdminClient(bootstrap_servers=road.stack.kafka.bootstrap)
    await admin.start()
    await admin.delete_topics([EPISODES_CHANGELOG.name])

    async def gone() -> bool:
        return EPISODES_CHANGELOG.name not in await admin.list_topics()

    await until(gone, "the changelog is gone", within=60)
    await admin.close()
    await ended("scoring")(road)
    await ready(road, "scoring")


async def deletions(run: Run) -> None:
    """What it takes away has to be there, and seen to be there, first."""

    async def seen() -> bool:
        return await run.road.count("select coalesce(sum(next_offset), 0) from ingest.changelog_end") > 0

    for _ in range(max(1, run.times // 10)):
        await until(seen, "the changelog's end was seen", within=60)
        await run.happen(changelog_deleted)
    replays = await run.road.count("select count(*) from ingest.replay where scope = 'rebuild'")
    assert replays, "everything came back without being published again: nothing was lost"
    run.notes.append(f"everything was published again {replays} times")


SCENARIOS = {"changelog deleted": Scenario(deletions)}
