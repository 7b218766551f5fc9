"""Work beside a service's own that must outlive every fault: what it does may be late, but never stop for good."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from services.platform import logs

Work = Callable[[], Awaitable[object]]


async def forever(name: str, work: Work, *, pause: float, failed: Callable[[], None] = lambda: None) -> None:
    """Do it again and again, a pause after each time, whatever became of it; end it by cancelling.

    A fault is one line in the log under this name, with the place it came from; `failed` is told. A library may cancel
    what we wait for (aiokafka does where a consumer is stopped as soon as it is started, because what it was started
    for failed at once): that is a fault like any other, not a wish that we end.
    """
    while True:
        try:
            await work()
        except (Exception, asyncio.CancelledError) as error:
            if told_to_end():
                raise
            failed()
            logs.get(name).warning("failed, starting again", exc_info=error)
        await asyncio.sleep(pause)


def told_to_end() -> bool:
    """Whether it is this task that was cancelled, and not something it waits for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
