"""`attune topics`: the published topics, on a Kafka."""

from __future__ import annotations

from typing import Annotated

import typer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from schemas.topics import TOPICS
from services.cli import paper
from services.cli.invocation import finish, invocation
from services.platform.errors import Refused, Unavailable
from services.platform.kafka import connection, create_topics
from services.platform.settings import Settings

EPILOG = """Examples:

    attune topics list

    ATTUNE_KAFKA_BOOTSTRAP=kafka:9092 ATTUNE_KAFKA_PARTITIONS=64 attune topics create"""


def build() -> typer.Typer:
    """The group of commands."""
    app = typer.Typer(help="Create, list or check the topics.", epilog=EPILOG, no_args_is_help=True)
    app.command("create")(create)
    app.command("list")(list_)
    app.command("check")(check)
    return app


def create(context: typer.Context) -> None:
    """Create what is missing; what exists is left as it is."""
    made = invocation(context)
    created = finish(create_topics(made.kafka_settings()))
    made.out.print(f"created {', '.join(created)}" if created else "nothing was missing")


def list_(context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """The topics that Attune publishes, and how many partitions each has here."""
    made = invocation(context)
    settings = made.kafka_settings()
    found = finish(partitions(settings))
    counts = {topic.name: found.get(settings.topic(topic.name)) for topic in TOPICS}
    if as_json:
        made.out.print_json(data=counts)
        return
    table = paper.table("topic", "partitions", "owner", "meaning")
    for topic in TOPICS:
        table.add_row(topic.name, str(counts[topic.name] or "missing"), topic.owner, topic.meaning)
    made.out.print(table)


def check(context: typer.Context) -> None:
    """Fail where a topic is missing or has another number of partitions than the settings say."""
    made = invocation(context)
    settings = made.kafka_settings()
    faults = differences(settings, finish(partitions(settings)))
    if faults:
        raise Refused("; ".join(faults), hint="`attune topics create`, or ATTUNE_KAFKA_PARTITIONS")
    made.out.print(f"all {len(TOPICS)} topics are there, {settings.kafka_partitions} partitions each")


def differences(settings: Settings, found: dict[str, int]) -> list[str]:
    """What is not as the settings have it.

    >>> differences(Settings(kafka_partitions=12), {topic.name: 12 for topic in TOPICS} | {"alerts": 3})
    ['alerts has 3 partitions, not 12']
    """
    names = [settings.topic(topic.name) for topic in TOPICS]
    missing = [f"{name} is missing" for name in names if name not in found]
    wanted = settings.kafka_partitions
    return missing + [f"{n} has {found[n]} partitions, not {wanted}" for n in names if found.get(n, wanted) != wanted]


async def partitions(settings: Settings) -> dict[str, int]:
    """Every topic's number of partitions.

    Raises:
        Unavailable: no broker answers.
    """
    admin = AIOKafkaAdminClient(**connection(settings))
    try:
        await admin.start()
        return {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics()}
    except KafkaError:
        raise Unavailable(f"no Kafka at {settings.kafka_bootstrap}", hint="`attune status`") from None
    finally:
        await admin.close()
