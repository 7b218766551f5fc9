"""Two references of one person on the whole road: what is said ends as if all had been posted under one of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from services.alerts.acts import LifeCycle
from services.alerts.consumer import Consumer
from services.alerts.metrics import AlertsMetrics
from services.platform.clock import SystemClock
from tests.recovery_road import SmallRoad
from tests.whole_road import ratings

LOSER, SURVIVOR, ALWAYS = "C-0", "C-1", "C-2"
CLIENT = "select client_id from ingest.inbox where external_id = :record and version = 1"
READINGS = """
    select jsonb_agg(reading - cast(:names as text[]) order by cast(reading ->> 'session_number' as int))
    from alerts.reading r join alerts.episode e using (tenant_id, episode_id)
    where client_id = :client and not r.withdrawn
"""
NAMES = ["revision", "causes", "known_at", "rating_id", "session_id", "client_id", "episode_id"]
ALERTS = """
    select jsonb_agg(jsonb_build_array(kind, severity, state, rule, reason, occurred_at, historical)
                     order by occurred_at, rule)
    from alerts.alert where client_id = :client
"""
OPEN = "select alert_id from alerts.alert where client_id = :client and state = 'open'"
STATES = "select jsonb_agg(distinct state) from alerts.alert where client_id = :client"
WHY = """
    select s.reason from alerts.step s join alerts.alert using (alert_id)
    where client_id = :client and action = 'withdrawn'
"""
OUTCOMES = "select jsonb_object_agg(event_id, outcome) from ingest.outcome where tenant_id = :tenant"
EVERYTHING = """
    select jsonb_build_array(
      (select jsonb_object_agg(rating_id, reading - 'revision' - 'causes' - 'known_at') from alerts.reading),
      (select jsonb_object_agg(alert_id, jsonb_build_array(state, client_id, reason)) from alerts.alert),
      (select count(*) from alerts.step))
"""
AS_SAID = "0 of 3 episodes differ from their facts"


def posts() -> list[dict[str, Any]]:
    """One person's weekly ratings under two references by turns, with a fall; all of them under a third as well."""
    totals = [18.0 if number == 10 else 34.0 + number % 3 / 2 for number in range(12)]
    return [
        each | {"client": client, "id": f"{client}-{n}", "session": f"S-{client}-{n}", "rating": _srs(total)}
        for n, (each, total) in enumerate(zip(ratings(1, 12), totals, strict=True))
        for client in ((LOSER, SURVIVOR)[n % 2], ALWAYS)
    ]


def _srs(total: float) -> dict[str, Any]:
    return {"instrument": "srs@3", "total": total}


def told(kind: str, **more: object) -> dict[str, Any]:
    at = datetime.now(UTC).isoformat()
    return {"type": kind, "id": "M-1", "client": SURVIVOR, "merged": LOSER, "occurred_at": at, **more}


async def settled(road: SmallRoad) -> None:
    """What the door made of the posts included."""
    road.posted = await road.ask("select count(*) from ingest.inbox where tenant_id = :tenant")
    await road.settled()


async def test_a_merged_client_is_as_one_client(road: SmallRoad) -> None:
    """Readings and alerts of one to whom all was posted; what was acknowledged stays so; replayed and taken back."""
    async with road.relaying(), road.scoring(), road.alerting() as consumer:
        await road.post(posts())
        await settled(road)
        records = (f"{LOSER}-10", f"{SURVIVOR}-1", f"{ALWAYS}-1")
        loser, survivor, always = [await road.ask(CLIENT, record=record) for record in records]
        before = [await readings(road, client) for client in (loser, survivor)]
        receipts = await road.ask(OUTCOMES)
        for client in (loser, always):
            await _acknowledge(road, client)
        await road.post([told("client.merged")])
        await settled(road)
        await _is_one(road, loser, survivor, always)
        assert (await road.ask(OUTCOMES)).items() >= receipts.items()
        await _replayed(road, consumer)
        await _rated_again(road, survivor, always)
        assert AS_SAID in await road.attune("verify", "--all")
        await road.post([told("client.unmerged", version=2)])
        await settled(road)
        assert await readings(road, loser) == before[0]
        assert (await readings(road, survivor))[:-1] == before[1]


async def readings(road: SmallRoad, client: UUID) -> Any:  # noqa: ANN401 - JSON
    """Of one client, without names: what they say of whom is compared apart from how they are called."""
    return await road.ask(READINGS, client=client, names=NAMES)


async def _acknowledge(road: SmallRoad, client: UUID) -> None:
    alert = await road.ask(OPEN, client=client)
    assert alert is not None, "nothing was flagged: the test would prove nothing"
    acts = LifeCycle(road.engine("attune_alerts"), SystemClock(), AlertsMetrics())
    await acts.acknowledge(road.tenant, alert, by="T-1")


async def _is_one(road: SmallRoad, loser: UUID, survivor: UUID, always: UUID) -> None:
    assert await readings(road, survivor) == await readings(road, always)
    assert await road.ask(ALERTS, client=survivor) == await road.ask(ALERTS, client=always)
    assert await road.ask(STATES, client=survivor) == ["acknowledged"]
    assert await readings(road, loser) is None
    assert await road.ask(STATES, client=loser) == ["withdrawn"]
    assert await road.ask(WHY, client=loser) == "merged with another record"


async def _replayed(road: SmallRoad, consumer: Consumer) -> None:
    """A replay of the whole clinic changes nothing."""
    before = await road.ask(EVERYTHING)
    await road.attune("replay", "--tenant", road.name)
    await road.caught_up(consumer)
    assert await road.ask(EVERYTHING) == before


async def _rated_again(road: SmallRoad, survivor: UUID, always: UUID) -> None:
    """The next session, posted under the reference that went."""
    last = posts()[-1] | {"occurred_at": datetime.now(UTC).isoformat()}
    await road.post([last | {"client": each, "id": f"next-{each}", "session": f"N-{each}"} for each in (LOSER, ALWAYS)])
    await settled(road)
    assert await readings(road, survivor) == await readings(road, always)
