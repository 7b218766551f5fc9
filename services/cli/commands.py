"""Every command, and where it is: a command's module is loaded when it is called, not to be listed.

What a command needs (databases, brokers, the laboratory) takes seconds to load. What is said of each here is what its
own help begins with; a test holds that.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup


class Entry(NamedTuple):
    """A command: its module, and the function in it; a group has `build`."""

    name: str
    module: str
    function: str
    panel: str
    says: str


_HERE, _DATA, _ENGINE, _ALL = "This machine", "A clinic's data", "The engine", "An installation"
ENTRIES: Final = (
    Entry("setup", "setup", "setup", _HERE, "Fetch and check what the stack on this machine needs."),
    Entry("up", "up", "up", _HERE, "Start Kafka, PostgreSQL and every service here; stay until Ctrl-C."),
    Entry(
        "demo",
        "demo",
        "demo",
        _HERE,
        "Start everything here and play a year of a small clinic (invented) through it; stay until Ctrl-C.",
    ),
    Entry("status", "status", "status", _HERE, "Services with state and address, and counts from post to alert."),
    Entry(
        "post", "post", "post", _DATA, "Post a file of events: NDJSON (plain or CloudEvents), or CSV with a mapping."
    ),
    Entry("tenants", "tenants", "build", _DATA, "Create, list and set up tenants."),
    Entry("keys", "keys", "build", _DATA, "Create, list, revoke and rotate API keys."),
    Entry(
        "backtest",
        "backtest",
        "run",
        _ENGINE,
        "Live through recorded events again, and say what each policy would have flagged.",
    ),
    Entry(
        "fit",
        "fit",
        "build",
        _ENGINE,
        "Fit the engine's parameters to a clinic's own ratings, of 200 clients or more, and show the model card.",
    ),
    Entry("policy", "policies", "build", _ENGINE, "What policies say, and which one a tenant has."),
    Entry(
        "replay",
        "replay",
        "replay",
        _ALL,
        "Publish facts from the inbox again: after Kafka, its topics or scoring's table were lost.",
    ),
    Entry("verify", "verify", "verify", _ALL, "Work episodes out anew from the inbox, and say what stands otherwise."),
    Entry("migrate", "migrate", "build", _ALL, "Bring the database to a revision, or tell which it has."),
    Entry("dead-letters", "dead_letters", "build", _ALL, "Look at what could not be processed; retry or drop it."),
    Entry("topics", "topics", "build", _ALL, "Create, list or check the topics."),
)


class Lazily(TyperGroup):
    """The commands above. Listing them loads none."""

    def __init__(self, **about: Any) -> None:  # noqa: ANN401 - click's own
        super().__init__(**about)
        self.commands = {each.name: _listed(each) for each in ENTRIES}

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 - click's own, which typer carries along
        """The command that is called, loaded.

        Raises:
            click.UsageError: no such command; says which are like it.
        """
        name, found, rest = super().resolve_command(ctx, args)
        entry = next((each for each in ENTRIES if each.name == name), None)
        return name, load(entry) if entry is not None else found, rest


def _listed(entry: Entry) -> TyperCommand:
    return TyperCommand(entry.name, help=entry.says, rich_help_panel=entry.panel)


def load(entry: Entry) -> Any:  # noqa: ANN401 - click's own, which typer carries along
    """The command itself."""
    module = import_module(f"services.cli.{entry.module}")
    if entry.function == "build":
        return typer.main.get_command(module.build())
    alone = typer.Typer(rich_markup_mode="markdown", add_completion=False)
    alone.command(entry.name, epilog=module.EPILOG)(getattr(module, entry.function))
    return typer.main.get_command(alone)
