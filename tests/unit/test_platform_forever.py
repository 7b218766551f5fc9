"""Background work outlives whatever it meets, and ends when it is told to."""

from __future__ import annotations

import asyncio

import pytest

from services.platform.forever import forever


async def test_a_wait_that_somebody_else_cancelled_is_a_fault_and_no_end() -> None:
    """A driver cancels its own futures when a connection breaks off: the work goes on; cancelled itself, it ends."""
    gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    gone.cancel()
    begun = [gone, asyncio.get_running_loop().create_future()]
    turns, failures = iter(begun), list[str]()
    reached = asyncio.Event()

    async def work() -> None:
        wait = next(turns)
        if wait is not gone:
            reached.set()
        await wait

    task = asyncio.create_task(forever("test", work, pause=0, failed=lambda: failures.append("failed")))
    await asyncio.wait_for(reached.wait(), 1)
    assert failures == ["failed"]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert failures == ["failed"], "an end is no failure"
