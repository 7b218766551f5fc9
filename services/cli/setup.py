"""`attune setup`: bring along what the stack needs."""

from __future__ import annotations

import typer

from services.cli.invocation import Invocation, invocation
from services.local.progress import Bars
from services.local.setup import Toolchain, ensure

EPILOG = """Example:

    attune setup

Downloads what is missing (Kafka's jars, a Java if there is none) and checks it; the second time it only looks."""


def setup(context: typer.Context) -> None:
    """Fetch and check what the stack on this machine needs."""
    made = invocation(context)
    found = tools(made)
    made.out.print(f"ready: Java at {found.java}, {len(found.jars)} jars", highlight=False)


def tools(made: Invocation) -> Toolchain:
    """The checked toolchain, with bars for what must be fetched."""
    with Bars(made.say) as bars:
        return ensure(made.local(), bars)
