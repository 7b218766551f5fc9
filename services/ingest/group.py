"""Group commit: the single posts that arrived while the last transaction was committing share the next one.

A transaction costs a disk's sync whatever it holds, so sharing it is what makes single posts cheap. A post whose own
data breaks the transaction must not take the others down: what shares it is halved until that post stands alone.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from time import monotonic
from uuid import UUID

from services.ingest.draft import Draft
from services.ingest.metrics import IngestMetrics
from services.ingest.shares import Full, Turns, share
from services.ingest.store import Store
from services.ingest.verdicts import Accepted
from services.platform import logs
from services.platform.db import is_transient
from services.platform.errors import Unavailable
from services.platform.forever import told_to_end

RETRIES = 3
RETRY_SECONDS = 0.2
ALONE, BESIDE = 500, 100
"""Events of a batch in one transaction: while single posts come too, a few milliseconds of this process's time."""
QUIET_SECONDS = 1.0
_log = logs.get("ingest.group")


Waiting = tuple[Draft, asyncio.Future[Accepted]]


def _fail(group: Sequence[Waiting], error: Exception) -> None:
    for _, future in group:
        if not future.done():
            future.set_exception(error)


class GroupCommit:
    """Takes drafts one at a time, commits them together; tenants take turns, whoever posts most."""

    def __init__(self, store: Store, metrics: IngestMetrics, *, most_waiting: int, most_together: int) -> None:
        self._store = store
        self._metrics = metrics
        self._waiting: dict[UUID, deque[Waiting]] = {}
        self._count = 0
        self._some = asyncio.Event()
        self._passed = asyncio.Event()
        self._single_at = -QUIET_SECONDS
        self._turns = Turns()
        self._most_waiting = most_waiting
        self._most_together = most_together

    async def accept(self, draft: Draft) -> Accepted:
        """The verdict, once it is committed.

        Raises:
            Full: this tenant's share of the queue is. A share shrinks as more tenants wait, but is never nothing: who
                comes new finds room, however many flood.
            Unavailable: the database did not answer; whether it was stored is unknown, posting again is safe.
        """
        future: asyncio.Future[Accepted] = asyncio.get_running_loop().create_future()
        tenant = draft.receiving.tenant_id
        waiting = len(self._waiting.get(tenant, ()))
        others = len(self._waiting) - (tenant in self._waiting)
        if waiting >= share(self._most_waiting, others):
            raise Full
        self._waiting.setdefault(tenant, deque()).append((draft, future))
        self._single_at = monotonic()
        self._moved(1)
        self._some.set()
        return await future

    def _moved(self, by: int) -> None:
        self._count += by
        self._metrics.waiting.set(self._count)

    async def run(self) -> None:
        """Commit groups for ever; end it by cancelling, after the door is closed."""
        while True:
            await self._some.wait()
            group = self._next()
            try:
                await self._settle(group)
            finally:
                _fail(
                    group, Unavailable("the commit was broken off")
                )  # who has no answer by now: nobody waits for ever
                self._passed.set()
                self._passed.clear()

    def _next(self) -> list[Waiting]:
        """One of each tenant's in turn, until the group is full or nobody waits."""
        group: list[Waiting] = []
        while self._waiting and len(group) < self._most_together:
            tenant = next(iter(self._waiting))
            theirs = self._waiting.pop(tenant)
            group.append(theirs.popleft())
            if theirs:
                self._waiting[tenant] = theirs  # at the end of the line
        self._moved(-len(group))
        if not self._waiting:
            self._some.clear()
        return group

    async def _settle(self, group: Sequence[Waiting]) -> None:
        try:
            verdicts = await self.commit([draft for draft, _ in group])
        except asyncio.CancelledError as error:
            _fail(group, Unavailable("the commit was broken off"))
            if told_to_end():
                raise
            _log.warning("commit broken off, going on", exc_info=error)  # a driver cancels its own waits at times
            return
        except Exception as error:  # noqa: BLE001 - whatever it was, it belongs to the posts of this group
            _fail(group, error)
            return
        for (_, future), verdict in zip(group, verdicts, strict=True):
            if not future.done():
                future.set_result(verdict)

    @property
    def slice(self) -> int:
        """How many events of a batch to commit at once, just now."""
        return ALONE if monotonic() - self._single_at > QUIET_SECONDS else BESIDE

    async def commit_slice(self, tenant: UUID, drafts: Sequence[Draft]) -> list[Accepted]:
        """Commit a part of a batch when it is its turn: clinics alternate, and single posts that wait go first.

        Raises:
            Unavailable: the database did not answer; what was committed till then is known when it is posted again.
        """
        if not drafts:
            return []
        async with self._turns.of(tenant):
            if self._waiting:
                await self._passed.wait()  # one group, not all of them: whoever floods with single posts is not alone
            return await self.commit(drafts)

    async def commit(self, drafts: Sequence[Draft]) -> list[Accepted]:
        """Commit these together; what breaks the transaction is found by halving, and fails alone.

        Raises:
            Unavailable: the database did not answer.
        """
        try:
            return await self._together(drafts)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - one event's fault, whatever it is, must not be its neighbours'
            if len(drafts) > 1:
                half = len(drafts) // 2
                return [*await self.commit(drafts[:half]), *await self.commit(drafts[half:])]
            _log.error("event failed", fact_id=str(drafts[0].fact_id), exc_info=error)
            failed = Accepted("failed", drafts[0].fact_id, None)
            self._metrics.events.labels(failed.verdict).inc()
            return [failed]

    async def _together(self, drafts: Sequence[Draft]) -> list[Accepted]:
        """In one transaction; a passing fault of the database is tried again."""
        began = monotonic()
        for attempt in range(RETRIES + 1):
            try:
                verdicts = await self._store.accept(drafts)
            except Exception as error:
                if not is_transient(error):
                    raise
                if attempt == RETRIES or isinstance(error, TimeoutError):  # it was waited for long enough
                    raise Unavailable("the database does not answer") from error
                _log.warning("commit failed, trying again", attempt=attempt, exc_info=error)
                await asyncio.sleep(RETRY_SECONDS * 2**attempt)
            else:
                self._note(verdicts, monotonic() - began)
                return verdicts
        raise AssertionError("unreachable")

    def _note(self, verdicts: Sequence[Accepted], seconds: float) -> None:
        self._metrics.commit_seconds.observe(seconds)
        self._metrics.group_events.observe(len(verdicts))
        for verdict, count in Counter(each.verdict for each in verdicts).items():
            self._metrics.events.labels(verdict).inc(count)
