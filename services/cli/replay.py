"""`attune replay`: facts from the inbox through the road again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Annotated, Any
from uuid import UUID

import typer
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.alerts.adapters import offsets
from services.cli.accounts import database, find_tenant
from services.cli.bars import bar
from services.cli.invocation import OPERATOR, Invocation, finish, invocation
from services.ingest import replay as ingest
from services.ingest import tenant_configs
from services.ingest.answered import until_answered
from services.ingest.replay import Job, Scope
from services.platform import kafka
from services.platform.db import transaction
from services.platform.errors import ConfigurationError, Refused, Unavailable
from services.platform.settings import Settings
from services.platform.vault import Vault, VaultKeys

EPILOG = """Examples:

    attune replay --all

    attune replay --tenant north-clinic --client C-1042

Safe at any time and any number of times: whoever has a fact already is not changed by it, and nobody is notified
again. Interrupted, the same command goes on where it stopped. See docs/runbooks/rebuild-from-the-inbox.md."""

FOLLOWED_SECONDS = 2.0
"""Scoring's workers read what is published on `tenant-configs` within milliseconds."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What was asked for beside whose facts."""

    anew: bool
    wait: bool


def replay(  # noqa: PLR0917 - typer passes options by name
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Every tenant's facts.")] = False,
    tenant: Annotated[str | None, typer.Option(help="One tenant's facts.")] = None,
    client: Annotated[str | None, typer.Option(help="With --tenant: one client's, by the clinic's reference.")] = None,
    anew: Annotated[bool, typer.Option(help="From the beginning, also where an earlier one was interrupted.")] = False,
    wait: Annotated[bool, typer.Option(help="Wait until scoring has answered.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="The summary as JSON.")] = False,
) -> None:
    """Publish facts from the inbox again: after Kafka, its topics or scoring's table were lost."""
    made = invocation(context)
    whose = _named(everything=everything, tenant=tenant, client=client)
    told = finish(_replay(made, whose, Wishes(anew, wait)))
    if as_json:
        made.out.print_json(data=told)
    else:
        made.out.print(sentence(told), highlight=False)


def _named(*, everything: bool, tenant: str | None, client: str | None) -> tuple[str | None, str | None]:
    if everything == (tenant is not None) or (client is not None and tenant is None):
        raise ConfigurationError("say whose facts", hint="--all, or --tenant NAME, or --tenant NAME --client REFERENCE")
    return tenant, client


def sentence(told: dict[str, Any]) -> str:
    """For a person.

    >>> sentence({"replayed": 1200, "waited": True, "answered": 1198, "dead_lettered": 2, "unanswered": 0})
    '1,200 facts published again: 1,198 answered, 2 dead letters, 0 without an answer'
    """
    said = f"{told['replayed']:,} facts published again"
    if not told["waited"]:
        return f"{said}; not waited for answers"
    parts = f"{told['answered']:,} answered, {told['dead_lettered']:,} dead letters"
    return f"{said}: {parts}, {told['unanswered']:,} without an answer"


async def _replay(made: Invocation, whose: tuple[str | None, str | None], wishes: Wishes) -> dict[str, Any]:
    settings = settings_of(made)
    async with database(settings) as engine:
        scope = await scope_of(engine, settings, *whose)
        job = await _begin(made, engine, settings, scope, anew=wishes.anew)
        await _parameters(made, engine, scope)
        with bar(made.say, "publishing again", job.total) as progress:
            progress.to(job.done)
            done = await ingest.run(engine, scope, progress.to)
        if wishes.wait:
            await _wait(made, settings, engine)
        return {"replayed": done, "waited": wishes.wait, **asdict(await ingest.answers(engine, scope))}


def settings_of(made: Invocation) -> Settings:
    """Settings for PostgreSQL as the operator, and for Kafka, with this home's secrets where none are named."""
    own: dict[str, Any] = {"kafka_bootstrap": made.kafka_settings().kafka_bootstrap}
    if "ATTUNE_SECRETS_DIR" not in made.environment:
        own["secrets_dir"] = made.home().secrets
    return made.settings(OPERATOR).model_copy(update=own)


async def scope_of(engine: AsyncEngine, settings: Settings, tenant: str | None, client: str | None) -> Scope:
    """Whose facts are meant.

    Raises:
        Refused: no such tenant, or a client that the tenant never named.
    """
    if tenant is None:
        return Scope()
    found = await find_tenant(engine, tenant)
    return Scope(found, None if client is None else await _client(engine, settings, found, client))


async def _client(engine: AsyncEngine, settings: Settings, tenant: UUID, reference: str) -> UUID:
    vault = Vault(VaultKeys.from_settings(settings))
    async with transaction(engine, [tenant]) as connection:
        surrogate = await vault.find(connection, tenant, "client", reference)
    if surrogate is None:
        raise Refused(
            "this tenant never named such a client", hint="the reference is the clinic's own, as it was posted"
        )
    return surrogate


async def _begin(made: Invocation, engine: AsyncEngine, settings: Settings, scope: Scope, *, anew: bool) -> Job:
    """Start, or go on. What alerts had read of topics that were recreated is forgotten where everything is replayed."""
    forget, lost = await _lost_logs(made, engine, settings, scope)
    job = await ingest.begin(engine, scope, forget, anew=anew or lost)
    if job.resumed:
        made.say.print(f"going on after {job.done:,} of {job.total:,} facts (--anew starts over)", highlight=False)
    return job


async def _parameters(made: Invocation, engine: AsyncEngine, scope: Scope) -> None:
    """Clinics' fitted parameters first: whoever works out the facts must have read them by then."""
    async with transaction(engine) as connection:
        count = await tenant_configs.publish_again(connection, [scope.tenant] if scope.tenant else None)
    if not count:
        return
    with made.say.status(f"publishing {count:,} versions of fitted parameters again"):
        while await _parameters_wait(engine):  # noqa: ASYNC110 - another process's doing sets no event of ours
            await asyncio.sleep(ingest.WAIT_SECONDS)
        await asyncio.sleep(FOLLOWED_SECONDS)


async def _parameters_wait(engine: AsyncEngine) -> bool:
    async with transaction(engine) as connection:
        return await tenant_configs.are_waiting(connection)


async def _lost_logs(
    made: Invocation, engine: AsyncEngine, settings: Settings, scope: Scope
) -> tuple[Callable[[AsyncConnection], Awaitable[None]] | None, bool]:
    async with _looker(settings) as looker, transaction(engine) as connection:
        places = await offsets.recreated(connection, looker)
    if not places:
        return None, False
    topics = ", ".join(sorted({place.topic for place in places}))
    if scope != Scope():
        made.say.print(f"{topics} was recreated: alerts waits for `attune replay --all`", highlight=False)
        return None, False
    made.say.print(f"{topics} was recreated: starting from the beginning", highlight=False)

    async def forget(connection: AsyncConnection) -> None:
        await offsets.forget(connection, places)

    return forget, True


@asynccontextmanager
async def _looker(settings: Settings) -> AsyncIterator[AIOKafkaConsumer]:
    looker = kafka.consumer(settings)
    try:
        await looker.start()
        yield looker
    except KafkaError:
        raise Unavailable(f"no Kafka at {settings.kafka_bootstrap}", hint="`attune status`") from None
    finally:
        await looker.stop()


async def _wait(made: Invocation, settings: Settings, engine: AsyncEngine) -> None:
    """Until the relay has carried everything away and scoring has answered it."""
    left = await ingest.waiting(engine)
    with bar(made.say, "waiting for the relay", left) as progress:
        while now := await ingest.waiting(engine):
            progress.to(max(0, left - now))
            await asyncio.sleep(ingest.WAIT_SECONDS)
        progress.to(left)
    with made.say.status("waiting for scoring") as status:
        await until_answered(settings, engine, lambda behind: status.update(f"waiting for scoring: {behind:,} records"))
