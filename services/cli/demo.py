"""`attune demo`: the whole system here, and a year of a small clinic played through its door."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from sqlalchemy.ext.asyncio import AsyncEngine

from services.cli import accounts, counts, findings, play
from services.cli.bars import bar
from services.cli.door import open_door
from services.cli.invocation import OPERATOR, Invocation, finish, invocation, settings_from
from services.cli.up import addresses, stay
from services.lab.caseload import caseload
from services.local.stack import LocalStack
from services.platform import tenants
from services.platform.auth import SCOPES
from services.platform.clock import SystemClock
from services.platform.errors import Refused, Unavailable
from services.platform.settings import Settings
from services.platform.vault import Vault, VaultKeys

EPILOG = """Examples:

    attune demo

    attune demo --again

The year is played once; a second start finds it. --again plays it once more, as another clinic, ending now."""
CLINIC = "small-clinic"
ALERTS = "attune_alerts"


@dataclass(frozen=True, slots=True)
class Demo:
    """The running stack and where the demo keeps what it must remember."""

    made: Invocation
    stack: LocalStack

    @property
    def memory(self) -> Path:
        return self.stack.home.root / "demo.json"

    @property
    def key_file(self) -> Path:
        return self.stack.home.secrets / "demo-key"

    def settings(self, role: str) -> Settings:
        return settings_from(self.stack.environment(role))


def demo(
    context: typer.Context,
    again: Annotated[
        bool, typer.Option("--again", "--fresh", help="Play the year once more, as a new clinic.")
    ] = False,
) -> None:
    """Start everything here and play a year of a small clinic (invented) through it; stay until Ctrl-C."""
    made = invocation(context)
    finish(stay(made, show(made, again=again)))


def show(made: Invocation, *, again: bool) -> Callable[[LocalStack], Awaitable[None]]:
    """What happens once the stack is up."""

    async def ready(stack: LocalStack) -> None:
        one = Demo(made, stack)
        async with accounts.database(one.settings(OPERATOR)) as engine:
            played = await _begin(one, engine, again=again)
            tenant = await accounts.find_tenant(engine, played.tenant)
            if not played.complete:
                await _play(one, played)
            await _settle(one, engine, tenant)
            facts = await counts.facts(engine, [tenant])
        await _tell(one, tenant, facts)
        addresses(made.out, stack)
        made.say.print("up; Ctrl-C stops everything")

    return ready


async def _begin(one: Demo, engine: AsyncEngine, *, again: bool) -> play.Played:
    """What was begun before, or a new clinic with a key."""
    known = {row["name"] for row in await accounts.tenants(engine)}
    before = play.recall(one.memory)
    if before and before.tenant in known and one.key_file.exists() and not again:
        return before
    names = (CLINIC, *(f"{CLINIC}-{number}" for number in range(2, 1000)))
    name = next(name for name in names if name not in known)
    async with engine.begin() as connection:
        tenant = await tenants.create(connection, name, name.replace("-", " ").capitalize())
    write_secret(one.key_file, await accounts.new_key(engine, tenant, SCOPES))
    now = SystemClock().now().replace(minute=0, second=0, microsecond=0)
    played = play.Played(name, now.isoformat())
    play.remember(one.memory, played)
    return played


def write_secret(path: Path, content: str) -> None:
    """A file that only its owner reads."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(content + "\n")


async def _play(one: Demo, played: play.Played) -> None:
    posts = caseload(played.seed, played.end).posts
    key = one.key_file.read_text(encoding="utf-8").strip()
    async with open_door(one.stack.address("ingest"), key) as door:
        with bar(one.made.say, "posting a year", len(posts)) as progress:

            def told(now: play.Played) -> None:
                play.remember(one.memory, now)
                progress.to(now.done)

            tally = await play.play(door, posts, played, told)
    if tally.refused:
        first = tally.reasons[0]
        raise Refused(
            f"the door refused {tally.refused} events, first {first.pointer}: expected {first.expected}",
            hint="that is a fault of ours; see the log of ingest",
        )
    play.remember(one.memory, replace(played, done=len(posts), complete=True))


async def _settle(one: Demo, engine: AsyncEngine, tenant: UUID) -> None:
    total = (await counts.facts(engine, [tenant])).posted

    async def concluded() -> int:
        facts = await counts.facts(engine, [tenant])
        return total if facts.settled else min(facts.concluded, total - 1)

    await _until(one, "scoring", total, concluded)
    async with accounts.database(one.settings(ALERTS)) as as_alerts:

        async def decided() -> int:
            held = await counts.decided(as_alerts, [tenant])
            return total if held is None else held

        await _until(one, "deciding", total, decided)

        async def swept() -> int:
            return await counts.swept(as_alerts, [tenant])

        await _until(one, "looking at deadlines", 1, swept, unit="clinics")


async def _until(
    one: Demo, what: str, total: int, count: Callable[[], Awaitable[int]], *, unit: str = "events"
) -> None:
    with bar(one.made.say, what, total, unit=unit) as progress:
        settled = await play.settle(count, total, progress.to)
    if not settled:
        raise Unavailable(f"{what} has stopped moving", hint="`attune status` names the logs")


async def _tell(one: Demo, tenant: UUID, facts: counts.Facts) -> None:
    settings = one.settings(ALERTS)
    async with accounts.database(settings) as engine:
        raised = await counts.alerts(engine, [tenant]) or []
        vault = Vault(VaultKeys.from_settings(settings))
        urgent = await findings.most_urgent(engine, vault, tenant) if raised else []
    findings.show(one.made.out, facts, raised, urgent)
