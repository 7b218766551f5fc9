"""What was lost on the road comes back from the inbox, and nobody hears of it twice."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from schemas.topics import EPISODES_CHANGELOG
from services.alerts.adapters.decisions import Decisions
from services.alerts.domain.policy import DEFAULT
from services.alerts.metrics import AlertsMetrics
from services.alerts.switch import Switch
from services.ingest import replay
from services.ingest.replay import Scope
from services.local.stack import LocalStack
from services.platform import kafka
from services.platform.clock import SystemClock
from services.platform.settings import Settings
from tests.recovery_road import SmallRoad
from tests.whole_road import ratings

CLIENTS, SESSIONS = 12, 12
READINGS = "select jsonb_object_agg(rating_id, reading - 'revision' - 'causes' - 'known_at') from alerts.reading"
STEPS = "select count(*) from alerts.step"


async def test_replay_rebuilds_what_recreated_topics_lost(road: SmallRoad) -> None:
    """All topics deleted, offsets at 0 again: equal readings, and no step that was not there before."""
    async with road.relaying():
        async with road.scoring(), road.alerting():
            await road.post(ratings(CLIENTS, SESSIONS))
            await road.settled()
        readings, steps = await road.ask(READINGS), await road.ask(STEPS)
        assert len(readings) == CLIENTS * SESSIONS
        assert steps
        await road.recreate_topics()
        async with road.scoring(), road.alerting() as consumer:
            said = await road.attune("replay", "--all")
            assert f"{road.posted} facts published again: {road.posted} answered" in said
            assert "was recreated" in said
            await road.caught_up(consumer)
        assert await road.ask(READINGS) == readings
        assert await road.ask(STEPS) == steps
    await _verify_knows_a_clinics_own_policy(road)
    await _verify_catches_what_is_falsified(road)


async def _verify_knows_a_clinics_own_policy(road: SmallRoad) -> None:
    """What stands after each switch is what the facts say under that policy, and back again."""
    standing = "select count(*) from alerts.alert where state = 'open'"
    before = await road.ask(standing)
    decisions = Decisions(DEFAULT, AlertsMetrics())
    switch = Switch(road.engine("attune_alerts"), decisions, SystemClock())
    for asked in (("set", road.name, "openfit-compatible-1"), ("set", road.name, "high-sens-1"), ("clear", road.name)):
        await road.attune("policy", *asked)
        assert await switch.once() == 1
        assert f"0 of {CLIENTS} episodes differ from their facts" in await road.attune("verify", "--all")
    assert await road.ask(standing) == before


async def _verify_catches_what_is_falsified(road: SmallRoad) -> None:
    """All is what the facts say, until somebody turns a number or takes an alert away; values are not shown."""
    assert f"0 of {CLIENTS} episodes differ from their facts" in await road.attune("verify", "--all")
    rating, total = await road.ask(
        "update alerts.reading set reading = jsonb_set(reading, '{total}', '17.3') where rating_id ="
        " (select min(rating_id::text)::uuid from alerts.reading) returning jsonb_build_array(rating_id, 'total')"
    )
    alert = await road.ask(
        "delete from alerts.alert where state = 'open' and kind <> 'risk-item' and alert_id ="
        " (select min(alert_id::text)::uuid from alerts.alert where state = 'open') returning alert_id::text"
    )
    said = await road.attune("verify", "--all", "--json", code=1)
    found, _ = json.JSONDecoder().raw_decode(said)
    told = {(each["id"], each["what"], each["field"]) for each in found["differences"]}
    assert told == {(rating, "reading", total), (alert, "alert", "missing")}
    assert "17.3" not in said


async def test_a_killed_replay_goes_on_where_it_stopped(road: SmallRoad) -> None:
    """What was appended before it died is not appended again, in the order of each client's receipt."""
    await road.post(ratings(4, 5))
    await road.ask("delete from ingest.outbox")
    engine = create_async_engine(road.database.url("attune_operator"))
    scope = Scope(road.tenant)

    def die(done: int) -> None:
        if done >= 8:
            raise KeyboardInterrupt

    job = await replay.begin(engine, scope)
    assert (job.total, job.resumed) == (20, False)
    with pytest.raises(KeyboardInterrupt):
        await replay.run(engine, scope, die, batch=4)
    assert await road.ask("select count(*) from ingest.outbox") == 8
    resumed = await replay.begin(engine, scope)
    assert (resumed.done, resumed.resumed) == (8, True)
    assert await replay.run(engine, scope, batch=4) == 20
    appended = "select count(*) = 20 and count(distinct event_id) = 20 from ingest.outbox where lane = 2"
    assert await road.ask(appended)
    assert await road.ask("select count(*) from ingest.replay where finished_at is not null") == 1
    await engine.dispose()


async def test_a_changelog_deleted_alone_is_noticed(road: SmallRoad) -> None:
    """Every fact is published again, once, also where the relay dies in the middle of it."""
    rebuilder = road.rebuilder()
    await road.post(ratings(4, 5))
    await road.ask("delete from ingest.outbox")
    await _write(rebuilder.settings, EPISODES_CHANGELOG.name)
    assert await rebuilder.turn() == 0
    await road.recreate_topics(EPISODES_CHANGELOG.name)
    assert await rebuilder.turn() == road.posted
    await road.ask("update ingest.replay set finished_at = null, done = 0, at_event = null")  # it died at its beginning
    assert await rebuilder.turn() == road.posted
    assert await rebuilder.turn() == 0
    assert await road.ask("select count(*) = 2 * 20 and count(distinct event_id) = 20 from ingest.outbox")


async def _write(settings: Settings, topic: str) -> None:
    """One record."""
    producer = kafka.producer(settings)
    await producer.start()
    await producer.send_and_wait(settings.topic(topic), b"a state", key=b"of an episode")
    await producer.stop()


async def test_what_kafka_lost_comes_back(road: SmallRoad, stack: LocalStack) -> None:
    """Facts acknowledged and never seen by scoring; then the end of every log, answers and table included."""
    await road.post(ratings(3, 3))
    lost = "with gone as (delete from ingest.outbox where number % 3 = 0 returning tenant_id, event_id)"
    await road.ask(f"{lost} insert into ingest.publication select tenant_id, event_id, now() from gone")
    reconciler = road.reconciler()
    async with road.relaying(), road.alerting():
        async with road.scoring():
            assert await reconciler.turn() == 3
            await road.settled()
            assert await reconciler.turn() == 0
            before = int(1000 * SystemClock().now().timestamp())
            await road.post(renamed(ratings(6, 6)))
            await road.settled()
        await road.lose_the_end(stack, before)
        async with road.scoring():
            await road.until_seen("select count(*) > 0 from ingest.log_cut")
            await road.post(renamed(ratings(6, 7))[36:])  # scored without the history that was lost
            await road.until_seen("select (select count(*) from ingest.outcome) = (select count(*) from ingest.inbox)")
            assert await reconciler.turn() >= 36
            await road.settled()
            assert "0 of 9 episodes differ from their facts" in await road.attune("verify", "--all")


def renamed(posts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same of other clients."""
    return [post | {"id": f"X{post['id']}", "client": f"X{post['client']}"} for post in posts]
