"""`attune up`: the whole system on this machine, until Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping

import typer
from rich.console import Console

from migrations import run as migrations
from services.cli import paper
from services.cli.invocation import Invocation, finish, invocation, settings_from
from services.cli.setup import tools
from services.local.stack import LocalStack, run_until_signal
from services.platform.kafka import create_topics

EPILOG = """Examples:

    attune up

    ATTUNE_HOME=/srv/attune ATTUNE_INGEST_PORT=9000 attune up

Ports that are taken give way to free ones; `attune status` tells them."""

Ready = Callable[[LocalStack], Awaitable[None]]


def up(context: typer.Context) -> None:
    """Start Kafka, PostgreSQL and every service here; stay until Ctrl-C."""
    made = invocation(context)

    async def ready(stack: LocalStack) -> None:
        addresses(made.out, stack)
        made.say.print("up; Ctrl-C stops everything")

    finish(stay(made, ready))


async def stay(made: Invocation, ready: Ready) -> None:
    """Run the stack until a signal; `ready` is called once everything is.

    Raises:
        AttuneError: whatever kept it from starting.
    """
    stack = LocalStack(made.local(), tools(made), made.environment, steps=(migrate, topics))
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    with made.say.status("starting Kafka, PostgreSQL and the services ..."):
        started = asyncio.Event()

        async def told(running: LocalStack) -> None:
            started.set()
            await ready(running)

        life = asyncio.create_task(run_until_signal(stack, stop, told))
        begun = asyncio.create_task(started.wait())
        await asyncio.wait({life, begun}, return_when=asyncio.FIRST_COMPLETED)
        begun.cancel()
    await life


async def migrate(environment: Mapping[str, str]) -> None:
    """Bring the database to the newest revision, as its owner."""
    await migrations.upgrade(environment["ATTUNE_DATABASE_URL"])


async def topics(environment: Mapping[str, str]) -> None:
    """Create what topics are missing."""
    await create_topics(settings_from(environment))


def addresses(console: Console, stack: LocalStack) -> None:
    """Where a person may look."""
    table = paper.table("what", "where")
    for what, where in places(stack):
        table.add_row(what, where)
    console.print(table)


def places(stack: LocalStack) -> list[tuple[str, str]]:
    """The pages worth opening."""
    ingest, alerts = stack.address("ingest"), stack.address("alerts")
    return [
        ("clinician page", f"{alerts}/"),
        ("post events here", f"{ingest}/v1/events"),
        ("API docs", f"{ingest}/docs"),
        ("metrics", f"{ingest}/metrics, {alerts}/metrics, {stack.address('scoring')}/metrics"),
    ]
