"""Records that no service of ours would write, put where our services read, under load."""

from __future__ import annotations

import asyncio
import io
import json
import signal
import uuid
from datetime import UTC, datetime
from typing import Any

from aiokafka.partitioner import DefaultPartitioner
from rich.console import Console
from sqlalchemy import text

from schemas import codec, events
from schemas.topics import EPISODES_CHANGELOG, SESSION_EVENTS
from services.cli.app import run as command
from services.cli.invocation import Invocation
from services.platform import kafka
from services.platform.settings import Settings
from tests.chaos.faults import killed
from tests.chaos.run import Run, Scenario
from tests.whole_road import Road, another_clinic, ratings, until

PARTITIONS = list(range(4))
WITHIN = 60.0
CODES = ["undecodable", "unknown-version", "unprocessable"]
INCOMPLETE = """
    select count(*) from alerts.episode where tenant_id = :tenant and snapshot->'incomplete' = 'true'
"""
OPEN = "select count(*) from ingest.dead_letter where tenant_id = :tenant and state = 'open'"
SCORED = "select count(*) from ingest.outcome where tenant_id = :tenant and outcome = 'scored'"
READINGS = "select count(*) from alerts.reading where tenant_id = :tenant and not withdrawn"
FACTS = "select coalesce(sum(facts), 0) from alerts.episode where tenant_id = :tenant"


async def poisons(run: Run) -> None:
    """Each time a clinic of its own meets it, while the load of the other one goes on over the same partitions."""
    for _ in range(run.times):
        clinic = await another_clinic(run.road, f"poisoned-{uuid.uuid4().hex[:8]}")

        async def strike(_: Road, clinic: Road = clinic) -> None:
            await _set_aside_and_dropped(clinic)
            await _set_aside_and_retried(clinic)

        await run.happen(strike)
    run.notes.append(f"{len(CODES) + 2} dead letters each time, each once; 2 retried, scored once; 3 dropped")


async def _set_aside_and_dropped(clinic: Road) -> None:
    """One letter each; the episode says `incomplete` until somebody decides; a retry that fails is a letter again."""
    await clinic.post(ratings(3, 4))
    await clinic.settled(WITHIN)
    known = (await clinic.facts())[0]
    record = codec.encode_fact(impossible(known))
    newer = json.dumps(json.loads(record.value) | {"fact_id": str(uuid.uuid4()), "schema_version": 2}).encode()
    for value in (b"\x00 not an event", newer, record.value):
        await send(clinic, SESSION_EVENTS.name, record.key, value)
    await reaches(clinic, OPEN, len(CODES))
    letters = {each["code"]: each for each in await _letters(clinic)}
    assert sorted(letters) == CODES, f"set aside as {sorted(letters)}"
    await reaches(clinic, INCOMPLETE, 1)
    await attune(clinic, "dead-letters", "retry", letters["unprocessable"]["dead_letter_id"])
    await reaches(clinic, f"{OPEN} and attempt = 2", 1)
    for letter in await _letters(clinic):
        await attune(clinic, "dead-letters", "drop", letter["dead_letter_id"], "--why", "put there by a test")
    await reaches(clinic, INCOMPLETE, 0)
    await reaches(clinic, SCORED, len(clinic.accepted))


async def _set_aside_and_retried(clinic: Road) -> None:
    """An episode's state is damaged, then mended: what was set aside meanwhile is retried, and takes effect once."""
    already, known = len(clinic.accepted), {fact.fact_id for fact in await clinic.facts()}
    facts, readings = await clinic.count(FACTS), await clinic.count(READINGS)
    clinic.signal("scoring", signal.SIGSTOP)  # what is posted now waits
    await clinic.post([each | {"id": f"late-{each['id']}", "client": "late"} for each in ratings(1, 2)])
    fact = next(each for each in await clinic.facts() if each.fact_id not in known)
    client = codec.encode_fact(fact).key
    state = client + f":{fact.episode_id}".encode()
    partition = DefaultPartitioner()(client, PARTITIONS, PARTITIONS)
    await send(clinic, EPISODES_CHANGELOG.name, state, b"not a state", partition=partition)
    await killed("scoring")(clinic)
    await reaches(clinic, f"{OPEN} and code = 'unreadable-state'", 2)
    await send(clinic, EPISODES_CHANGELOG.name, state, None, partition=partition)
    await killed("scoring")(clinic)
    for letter in await _letters(clinic):
        await attune(clinic, "dead-letters", "retry", letter["dead_letter_id"])
    await reaches(clinic, SCORED, already + 2)
    await send(clinic, SESSION_EVENTS.name, client, codec.encode_fact(fact).value)  # once more, by nobody's wish
    await clinic.post([each | {"id": f"last-{each['id']}", "client": "late"} for each in ratings(1, 1)])
    await reaches(clinic, SCORED, already + 3)
    await reaches(clinic, READINGS, readings + 3)
    await reaches(clinic, FACTS, facts + 3)
    await reaches(clinic, OPEN, 0)


def impossible(fact: events.Fact) -> events.Fact:
    """A valid event that makes the core raise: no deadline can be computed for a session at the end of time."""
    end = datetime(9999, 12, 31, tzinfo=UTC)
    whose = {name: getattr(fact, name) for name in ("tenant_id", "client_id", "episode_id")}
    ids = {"fact_id": uuid.uuid4(), "record_id": uuid.uuid4(), "session_id": uuid.uuid4()}
    return events.SessionAttended(**whose, **ids, occurred_at=end, recorded_at=end, starts_at=end)  # type: ignore[arg-type]


async def send(road: Road, topic: str, key: bytes, value: bytes | None, *, partition: int | None = None) -> None:
    settings = Settings(kafka_bootstrap=road.stack.kafka.bootstrap)
    headers = [("ce_id", json.loads(value)["fact_id"].encode())] if value and value.startswith(b"{") else []
    producer = kafka.producer(settings)
    await producer.start()
    try:
        await producer.send_and_wait(settings.topic(topic), value, key=key, partition=partition, headers=headers)
    finally:
        await producer.stop()


async def attune(road: Road, *arguments: str) -> str:
    """A command, as an operator types it."""
    out, said = io.StringIO(), io.StringIO()
    told = road.stack.environment("attune_operator")
    made = Invocation(told, out=Console(file=out, width=240, soft_wrap=True), say=Console(file=said, width=240))
    ended = await asyncio.to_thread(command, arguments, made)
    assert ended == 0, f"attune {' '.join(arguments[:2])}: {said.getvalue()}"
    return out.getvalue()


async def _letters(road: Road) -> list[dict[str, Any]]:
    found = json.loads(await attune(road, "dead-letters", "list", "--json"))
    query = text("select name from access.tenant where tenant_id = :tenant")
    async with road.database.connect() as connection:
        name = (await connection.execute(query, {"tenant": road.tenant})).scalar_one()
    return [each for each in found if each["tenant"] == name]


async def reaches(road: Road, query: str, count: int) -> None:
    async def holds() -> bool:
        return await road.count(query) == count

    await until(holds, f"{count} by {' '.join(query.split())}", within=WITHIN)


SCENARIOS = {"poison": Scenario(poisons, most=3)}
