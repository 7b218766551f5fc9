"""How a service's process lives: one loop, a stop event on SIGTERM or SIGINT, one clear line when it cannot go on."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Awaitable, Callable

import uvloop
from pydantic import ValidationError

from services.platform.errors import AttuneError

Main = Callable[[asyncio.Event], Awaitable[None]]
EXIT_FAILED = 2
GARBAGE_EVERY = 50_000
"""Allocations between two looks for cycles. What we make is trees: looking at them doubled a long history's cost."""


async def _with_signals(main: Main) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await main(stop)


def tune() -> None:
    """Look for cyclic garbage seldom, and never again at what lives as long as the process."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_EVERY)


def run(main: Main) -> None:
    """Run `main` until it returns; it should return soon after the event is set.

    An expected failure (`AttuneError`, bad settings) ends the process with one line and exit code 2.
    """
    tune()
    try:
        uvloop.run(_with_signals(main))
    except AttuneError as error:
        _fail(str(error), error.hint)
    except ValidationError as error:
        places = ", ".join(".".join(str(part) for part in fault["loc"]) for fault in error.errors())
        _fail(f"bad settings: {places}", "see docs/settings.md")


def _fail(message: str, hint: str) -> None:
    sys.stderr.write(f"{message}{f' ({hint})' if hint else ''}\n")
    sys.exit(EXIT_FAILED)
