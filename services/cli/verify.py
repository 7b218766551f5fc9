"""`attune verify`: is what stands what the facts say?"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Console
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncEngine

from services.alerts.domain.policy import POLICIES
from services.cli import counts, paper, records
from services.cli.accounts import database
from services.cli.bars import bar
from services.cli.invocation import OPERATOR, Invocation, finish, invocation
from services.cli.replay import scope_of, settings_of
from services.lab.recompute import Difference, differences, recompute
from services.platform.errors import ConfigurationError
from services.platform.settings import Settings

EPILOG = """Examples:

    attune verify --sample 500

    attune verify --all --tenant north-clinic --json | jq .differences

Every episode is worked out anew from its facts in the inbox and held against the readings and alerts that stand. It
names what differs by id and field, never a value; exit code 1 when something does. Then: `attune replay`."""
SAMPLE = 1_000
SHOWN = 20
AGAIN_SECONDS = 1.0
"""An episode that differs is looked at once more: its newest facts may have been on their way."""
DIFFERENT = 1


@dataclass(slots=True)
class Findings:
    """What was looked at, and what was found."""

    episodes: int = 0
    waiting: int = 0
    different: dict[UUID, list[Difference]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        listed = [
            {"episode": str(episode), "what": each.what, "id": str(each.about), "field": each.name}
            for episode, found in self.different.items()
            for each in found
        ]
        return {"episodes": self.episodes, "waiting": self.waiting, "different": len(self.different)} | {
            "differences": listed
        }


def verify(  # noqa: PLR0917 - typer passes options by name
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Every episode, not a sample.")] = False,
    sample: Annotated[int, typer.Option(min=1, help="So many episodes, at random.")] = SAMPLE,
    tenant: Annotated[str | None, typer.Option(help="Of one tenant.")] = None,
    client: Annotated[str | None, typer.Option(help="With --tenant: of one client, by the clinic's reference.")] = None,
    policy: Annotated[str, typer.Option(help="The installation's; a tenant's own is known.")] = "fic-default-2",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Work episodes out anew from the inbox, and say what stands otherwise."""
    made = invocation(context)
    if policy not in POLICIES:
        raise ConfigurationError(f"no policy named {policy}", hint=f"one of {', '.join(POLICIES)}")
    if client is not None and tenant is None:
        raise ConfigurationError("whose client?", hint="--tenant NAME --client REFERENCE")
    settings = settings_of(made) if client else made.settings(OPERATOR)
    found = finish(_verify(made, settings, (tenant, client), _Look(policy, None if everything else sample)))
    if as_json:
        made.out.print_json(data=found.as_json())
    else:
        show(made.out, found)
    if found.different:
        raise typer.Exit(DIFFERENT)


@dataclass(frozen=True, slots=True)
class _Look:
    """Under which policy, and how many episodes; all where `sample` is None."""

    policy: str
    sample: int | None


async def _verify(made: Invocation, settings: Settings, whose: tuple[str | None, str | None], look: _Look) -> Findings:
    async with database(settings) as engine:
        scope = await scope_of(engine, settings, *whose)
        tenants = [scope.tenant] if scope.tenant else await counts.all_tenants(engine)
        total = await records.count(engine, scope, tenants)
        found = Findings()
        with bar(made.say, "verifying", min(total, look.sample or total), unit="episodes") as progress:
            async for page in records.pages(engine, scope, tenants, look.sample):
                await _page(engine, page, look.policy, found)
                progress.by(len(page))
        return found


async def _page(engine: AsyncEngine, page: Sequence[Row[Any]], policy: str, found: Findings) -> None:
    """What differs is looked at once more, a little later: the last facts may have been on their way."""
    suspects = await _differing(engine, page, policy)
    if any(suspects.values()):
        await asyncio.sleep(AGAIN_SECONDS)
        again = [row for row in page if suspects.get(row.episode_id)]
        suspects |= await _differing(engine, again, policy)
    found.episodes += len(page)
    found.waiting += sum(each is None for each in suspects.values())
    found.different |= {episode: each for episode, each in suspects.items() if each}


async def _differing(engine: AsyncEngine, page: Sequence[Row[Any]], policy: str) -> dict[UUID, list[Difference] | None]:
    """Of each episode what differs; None where facts of it are without an answer yet."""
    read = await records.read(engine, page, POLICIES[policy])
    result: dict[UUID, list[Difference] | None] = {}
    for (tenant, episode), record in read.records.items():
        versions = read.engines.of(str(tenant))
        should = None if record.unanswered else recompute(record.facts, record.dead, versions)
        clinic = read.clinics[tenant]
        result[episode] = differences(POLICIES[policy], should, record.standing, clinic) if should else None
    return result


def show(console: Console, found: Findings) -> None:
    """For a person."""
    if found.different:
        table = paper.table("episode", "what", "id", "field")
        lines = [(episode, each) for episode, listed in found.different.items() for each in listed]
        for episode, each in lines[:SHOWN]:
            table.add_row(str(episode), each.what, str(each.about), each.name)
        console.print(table)
        if len(lines) > SHOWN:
            console.print(f"... and {len(lines) - SHOWN:,} more: --json has them all", highlight=False)
    verdict = f"{len(found.different):,} of {found.episodes:,} episodes differ from their facts"
    waiting = f"; {found.waiting:,} have facts without an answer yet and were not compared" if found.waiting else ""
    console.print(verdict + waiting, highlight=False)
