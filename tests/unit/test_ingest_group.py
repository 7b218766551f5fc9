"""Who waits at the door, and who is told to come back."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from services.ingest import envelopes
from services.ingest.draft import Draft, Receiving
from services.ingest.group import GroupCommit
from services.ingest.handlers import read
from services.ingest.metrics import IngestMetrics
from services.ingest.shares import Full
from services.ingest.store import Store
from services.ingest.verdicts import Accepted
from services.platform.errors import Unavailable
from services.platform.forever import forever
from services.platform.vault import Vault, VaultKeys
from tests.clinic import rating


def drafts(count: int) -> list[Draft]:
    """Posts of one clinic that was never seen before."""
    receiving = Receiving(uuid.uuid4(), datetime.now(UTC), "wall", timedelta(days=14))
    made = [read(envelopes.plain(rating(id=f"R-{number}")), receiving) for number in range(count)]
    assert all(isinstance(each, Draft) for each in made), made
    return [each for each in made if isinstance(each, Draft)]


def queue(most: int) -> GroupCommit:
    """A door behind which nothing moves: its database is never asked."""
    engine = create_async_engine("postgresql+asyncpg://nobody@/nowhere")
    store = Store(engine, Vault(VaultKeys(bytes(32), bytes(32))))
    return GroupCommit(store, IngestMetrics(), most_waiting=most, most_together=100)


async def taken(door: GroupCommit, posts: list[Draft]) -> int:
    """How many of these found room."""
    waiting = [asyncio.ensure_future(door.accept(post)) for post in posts]
    await asyncio.sleep(0)
    refused = [each for each in waiting if each.done() and isinstance(each.exception(), Full)]
    for each in waiting:
        each.cancel()
        with contextlib.suppress(asyncio.CancelledError, Full):
            await each
    return len(posts) - len(refused)


@pytest.mark.parametrize("floods", [1, 3, 8])
async def test_whoever_comes_new_finds_room_however_many_flood(floods: int) -> None:
    """With nothing draining, each clinic that floods gets less than the one before; the next one still gets some."""
    door = queue(200)
    shares = [await taken(door, drafts(300)) for _ in range(floods)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == 100, "one clinic alone takes half"
    assert await taken(door, drafts(5)) == 5


async def test_the_smallest_queue_still_takes_a_post() -> None:
    """A queue of one is slow, not shut."""
    assert await taken(queue(1), drafts(2)) == 1


class BrokenOff(Store):
    """Its first commit ends as when a driver cancels its own wait; the next ones are taken."""

    commits = 0

    async def accept(self, drafts: Sequence[Draft]) -> list[Accepted]:
        self.commits += 1
        if self.commits == 1:
            raise asyncio.CancelledError
        return [Accepted("created", draft.fact_id, draft.receiving.now) for draft in drafts]


async def test_a_commit_that_somebody_else_cancelled_is_not_the_last() -> None:
    """Its posts are told that it is unknown whether they were stored, and the next ones are committed."""
    engine = create_async_engine("postgresql+asyncpg://nobody@/nowhere")
    store = BrokenOff(engine, Vault(VaultKeys(bytes(32), bytes(32))))
    group = GroupCommit(store, IngestMetrics(), most_waiting=10, most_together=1)
    running = asyncio.create_task(group.run())
    first, second = drafts(2)
    with pytest.raises(Unavailable):
        await asyncio.wait_for(group.accept(first), 1)
    assert (await asyncio.wait_for(group.accept(second), 1)).verdict == "created"
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


class Forgetful(Store):
    """Its first commit says nothing of what became of its posts: a fault that nobody foresaw."""

    commits = 0

    async def accept(self, drafts: Sequence[Draft]) -> list[Accepted]:
        self.commits += 1
        told = [Accepted("created", draft.fact_id, draft.receiving.now) for draft in drafts]
        return told if self.commits > 1 else []


async def test_whatever_ends_the_committing_nobody_waits_for_ever() -> None:
    """Run as the door runs it: the post is told that nothing is known of it, and the next one is committed."""
    store = Forgetful(
        create_async_engine("postgresql+asyncpg://nobody@/nowhere"), Vault(VaultKeys(bytes(32), bytes(32)))
    )
    group = GroupCommit(store, IngestMetrics(), most_waiting=10, most_together=1)
    running = asyncio.create_task(forever("test", group.run, pause=0))
    first, second = drafts(2)
    with pytest.raises(Unavailable):
        await asyncio.wait_for(group.accept(first), 1)
    assert (await asyncio.wait_for(group.accept(second), 1)).verdict == "created"
    running.cancel()


class Noting(Store):
    """Notes what is committed, in order; each commit takes a moment of the loop's time."""

    committed: list[list[Draft]]

    async def accept(self, drafts: Sequence[Draft]) -> list[Accepted]:
        await asyncio.sleep(0)
        self.committed.append(list(drafts))
        return [Accepted("created", draft.fact_id, draft.receiving.now) for draft in drafts]


async def test_clinics_alternate_and_a_single_post_goes_before_the_next_slice() -> None:
    """Three batches of a clinic, one of another after them, a single post last: nobody waits for all three."""
    store = Noting(create_async_engine("postgresql+asyncpg://nobody@/nowhere"), Vault(VaultKeys(bytes(32), bytes(32))))
    store.committed = []
    group = GroupCommit(store, IngestMetrics(), most_waiting=10, most_together=1)
    running = asyncio.create_task(group.run())
    flood, other, (single,) = [drafts(3) for _ in range(3)], drafts(3), drafts(1)
    slices = [group.commit_slice(UUID(int=1), each) for each in flood] + [group.commit_slice(UUID(int=2), other)]
    waiting = [asyncio.ensure_future(each) for each in (*slices, group.accept(single))]
    await asyncio.gather(*waiting)
    running.cancel()
    assert store.committed.index([single]) < 2, "a single post waits for one slice at most"
    assert store.committed.index(other) < store.committed.index(flood[1]), "the other clinic is next in line"
