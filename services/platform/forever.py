"""Work beside a service's own that must outlive every fault: what it does may be late, but never stop for good."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from services.platform import logs

Work = Callable[[], Awaitable[object]]


async def forever(name: str, work: Work, *, pause: float, failed: Callable[[], None] = lambda: None) -> None:
    """Do it again and again, a pause after each time, whatever became of it; end it by cancelling.

    A fault is one line in the log under this name, with the place it came from; `failed` is told.
    """
    while True:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - the one boundary for all such work
            failed()
            logs.get(name).warning("failed, starting again", exc_info=error)
        await asyncio.sleep(pause)
