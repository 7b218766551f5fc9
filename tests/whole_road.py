"""The whole system as `attune up` runs it, in a folder that goes away: posted to, killed, frozen, and looked at."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import NullPool, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from migrations.run import upgrade
from schemas import codec, events
from schemas.topics import ALLIANCE_SCORES, SESSION_EVENTS
from services.alerts.adapters.contracts import case_of
from services.alerts.domain.decide import decide
from services.alerts.domain.policy import DEFAULT
from services.local.progress import Silent
from services.local.settings import LocalSettings
from services.local.setup import ensure
from services.local.stack import LocalStack
from services.platform import auth, tenants
from services.platform.kafka import create_topics
from services.platform.settings import Settings
from tests.scoring_facts import ENVELOPE, Bench, as_record, latest

NEVER = datetime.min.replace(tzinfo=UTC)
RATING_KINDS = ("rupture-possible", "slow-decline", "off-track")
SESSION_TIMEOUT_SECONDS = 6.0
BATCH = 2_000
Standing = set[tuple[UUID, str, UUID, str]]
"""Episode, kind, rating and rule of each alert that stands."""


def ratings(clients: int, sessions: int, seed: int = 7) -> list[dict[str, Any]]:
    """Posted SRS ratings of some clients, weekly up to now; some fall, slowly or at once."""
    rng = random.Random(seed)
    begin = datetime.now(UTC).replace(microsecond=0) - timedelta(weeks=sessions)
    return [_rating(rng, client, session, begin) for session in range(sessions) for client in range(clients)]


def _rating(rng: random.Random, client: int, session: int, begin: datetime) -> dict[str, Any]:
    usual = 30 + client % 10
    fallen = (client % 7 == 0 and session == 5) * 12 + (client % 11 == 0) * max(0, session - 8)
    total = round(min(40.0, max(0.0, usual + rng.gauss(0, 1.5) - fallen)), 1)
    return {
        "type": "rating.submitted",
        "id": f"R-{client}-{session}",
        "client": f"C-{client}",
        "clinician": f"T-{client % 40}",
        "session": f"S-{client}-{session}",
        "occurred_at": (begin + timedelta(weeks=session, minutes=client % 600)).isoformat(),
        "rating": {"instrument": "srs@3", "total": total},
    }


@dataclass(slots=True)
class Road:
    """The running system and one clinic's key."""

    stack: LocalStack
    key: str
    tenant: UUID
    database: AsyncEngine
    posted: int = 0
    accepted: set[str] = field(default_factory=set)

    # ------------------------------------------------------------------ as an EHR

    async def post(self, posts: Sequence[Mapping[str, Any]]) -> None:
        """Post in batches; what got no answer is posted again, as an EHR would."""
        async with httpx.AsyncClient(base_url=self.stack.address("ingest"), timeout=30) as client:
            for start in range(0, len(posts), BATCH):
                await self._batch(client, posts[start : start + BATCH])

    async def _batch(self, client: httpx.AsyncClient, posts: Sequence[Mapping[str, Any]]) -> None:
        async def answered() -> bool:
            try:
                answer = await client.post("/v1/events:batch", json=list(posts), headers=self.headers)
            except httpx.HTTPError:
                return False
            if answer.status_code != 200:
                return False
            results = answer.json()["results"]
            refused = next((each for each in results if each["status"] not in {200, 201}), None)
            assert refused is None, f"a good event was refused: {refused}, {posts[refused['index']]}"
            self.accepted |= {each["id"] for each in results}
            return True

        await until(answered, "the door takes a batch", within=60)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    # --------------------------------------------------------------- as bad luck

    def pid(self, name: str) -> int:
        return int(self.stack.supervisor.child(name).report()["pid"])

    def signal(self, name: str, number: signal.Signals) -> None:
        os.killpg(self.pid(name), number)

    async def restarted(self, name: str, before: int) -> None:
        """Wait until the supervisor has it up again."""

        async def anew() -> bool:
            child = self.stack.supervisor.child(name).report()
            return bool(child["state"] == "ready" and child["pid"] != before)

        await until(anew, f"{name} is up again", within=60)

    # ---------------------------------------------------------------- looked at

    async def count(self, query: str) -> int:
        """A number; while PostgreSQL is away, once it is back."""
        for _ in range(600):
            try:
                async with self.database.connect() as connection:
                    return int((await connection.execute(text(query), {"tenant": self.tenant})).scalar_one())
            except (DBAPIError, OSError):
                await asyncio.sleep(0.1)
        raise AssertionError("PostgreSQL did not come back within a minute")

    def beyond(self, count: int) -> Callable[[], Awaitable[bool]]:
        """Whether more than so many posts have been answered."""

        async def more() -> bool:
            return len(self.accepted) > count

        return more

    async def scored(self) -> int:
        return await self.count("select count(*) from ingest.outcome where tenant_id = :tenant")

    async def settled(self, within: float = 240) -> None:
        """Every fact that was accepted is published, concluded upon and decided upon."""

        async def done() -> bool:
            total = len(self.accepted)
            decided = "select coalesce(sum(facts), 0) from alerts.episode where tenant_id = :tenant"
            waiting = "select count(*) from ingest.outbox where tenant_id = :tenant"
            held = await self.scored() == total == await self.count(decided)
            return held and await self.count(waiting) == 0

        await until(done, "everything posted is scored and decided", within=within)

    async def facts(self) -> list[events.Fact]:
        query = text("select value from ingest.inbox where tenant_id = :tenant order by received_at, event_id")
        async with self.database.connect() as connection:
            rows = await connection.execute(query, {"tenant": self.tenant})
            return [codec.decode(SESSION_EVENTS, bytes(row.value)) for row in rows]

    async def readings(self) -> dict[UUID, dict[str, Any]]:
        """What alerts holds of every rating, without revision and envelope."""
        query = text("select reading from alerts.reading where tenant_id = :tenant and not withdrawn")
        async with self.database.connect() as connection:
            rows = (await connection.execute(query, {"tenant": self.tenant})).scalars()
            found = [events.Reading.model_validate(row, strict=False) for row in rows]
        return {reading.rating_id: reading.model_dump(exclude=ENVELOPE) for reading in found}

    async def standing(self) -> Standing:
        query = text("""
            select episode_id, kind, rating_id, rule from alerts.alert
            where tenant_id = :tenant and state in ('open', 'acknowledged') and kind = any(:kinds)
        """)
        async with self.database.connect() as connection:
            rows = (await connection.execute(query, {"tenant": self.tenant, "kinds": list(RATING_KINDS)})).all()
        found = [(row.episode_id, row.kind, row.rating_id, row.rule) for row in rows]
        assert len(found) == len(set(found)), "an alert stands twice"
        return set(found)


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """What the same facts end in when nothing happens to anybody."""

    readings: dict[UUID, dict[str, Any]]
    standing: Standing


def undisturbed(facts: Sequence[events.Fact]) -> Undisturbed:
    """One worker, one chunk, one pure decision for each episode."""
    bench = Bench()
    bench.take([as_record(fact, offset) for offset, fact in enumerate(facts)])
    values = [record.value for record in bench.said if record.value is not None]
    said = [codec.decode(ALLIANCE_SCORES, value) for value in values]
    snapshots = {each.episode_id: each for each in said if isinstance(each, events.EpisodeSnapshot)}
    readings = [each for each in said if isinstance(each, events.Reading)]
    clients = len({fact.client_id for fact in facts})
    standing = {
        (episode, alert.kind, alert.rating_id, alert.rule)
        for episode, snapshot in snapshots.items()
        for alert in decide(
            DEFAULT,
            case_of(
                snapshot,
                [each for each in readings if each.episode_id == episode],
                {},
                clients=clients,
                as_of=NEVER,
            ),
        )
        if alert.state == "open" and alert.rating_id is not None
    }
    return Undisturbed(latest(values), standing)


async def until(condition: Callable[[], Awaitable[bool]], what: str, *, within: float) -> None:
    """Wait for a condition, or fail naming it."""
    deadline = time.monotonic() + within
    while not await condition():
        assert time.monotonic() < deadline, f"not within {within:g} s: {what}"
        await asyncio.sleep(0.1)


@asynccontextmanager
async def whole_road(kind: type[LocalStack] = LocalStack, **environment: str) -> AsyncIterator[Road]:
    """Everything, on free ports, gone at the end; `environment` is told to our own processes."""
    home = folder()
    try:
        stack = _stack(kind, home, environment)
        async with stack.running():
            tenant, key = await clinic(stack)
            engine = create_async_engine(stack.postgres.url("postgres"), poolclass=NullPool)
            try:
                yield Road(stack, key, tenant, engine)
            finally:
                await engine.dispose()
    finally:
        shutil.rmtree(home)


async def another_clinic(road: Road, name: str) -> Road:
    """The same system, looked at by another clinic that has posted nothing yet."""
    tenant, key = await clinic(road.stack, name)
    return Road(road.stack, key, tenant, road.database)


def folder() -> Path:
    """A home that PostgreSQL's own account may pass, when the tests run as root."""
    folder = Path(tempfile.mkdtemp(prefix="attune-road-"))
    folder.chmod(0o711)
    return folder


def _stack(kind: type[LocalStack], folder: Path, told: Mapping[str, str]) -> LocalStack:
    settings = LocalSettings(
        home=folder,
        cache_dir=LocalSettings().cache,
        kafka_port=0,
        ingest_port=0,
        alerts_port=0,
        relay_port=0,
        scoring_port=0,
        durable=False,
    )
    environment = os.environ | {
        "ATTUNE_KAFKA_SESSION_TIMEOUT_MS": str(int(SESSION_TIMEOUT_SECONDS * 1000)),
        "ATTUNE_KAFKA_PARTITIONS": "4",
        **told,
    }
    return kind(settings, ensure(settings, Silent()), environment, steps=(_migrate, _topics))


async def _migrate(environment: Mapping[str, str]) -> None:
    await upgrade(environment["ATTUNE_DATABASE_URL"])


async def _topics(environment: Mapping[str, str]) -> None:
    settings = Settings(kafka_bootstrap=environment["ATTUNE_KAFKA_BOOTSTRAP"], kafka_partitions=4)
    await create_topics(settings)


async def clinic(stack: LocalStack, name: str = "north-clinic") -> tuple[UUID, str]:
    engine = create_async_engine(stack.postgres.url("attune_operator"))
    async with engine.begin() as connection:
        tenant = await tenants.create(connection, name)
        key = await auth.issue(connection, tenant, auth.SCOPES)
    await engine.dispose()
    return tenant, key
