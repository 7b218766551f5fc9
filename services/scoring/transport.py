"""Faust fed with whole lists: a consumer that hands what was fetched, partition by partition, to a sink.

Stock Faust spends some 300 us on a record before our code sees it (two asyncio tasks, a queue, an event, a reference
count), and reads its changelog uncommitted. This consumer keeps Faust's group membership, assignor, table and recovery,
and replaces only the way of a record (docs/adr, "Faust is fed with lists"). What it relies on inside Faust is checked
by `tests/unit/test_scoring_app_transport.py`: an upgrade that changes it fails there, not at night.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Protocol, cast

import aiokafka
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.errors import CommitFailedError, ConsumerStoppedError, IllegalStateError, KafkaError
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport.consumer import Consumer, ensure_TPset
from faust.transport.drivers.aiokafka import Transport, ensure_aiokafka_TP
from faust.types import TP
from mode.types.services import ServiceT

from services.platform import logs
from services.scoring.ports import Change, Sink

FETCH_WAIT_MS = 100
"""How long one poll waits for records. It bounds how late a change of the set of partitions is seen, not latency."""


class _Rebalances(aiokafka.abc.ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    """aiokafka's callbacks, in the order Faust wants them."""

    def __init__(self, consumer: ListConsumer) -> None:
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        self._consumer.app.on_rebalance_start()
        await self._consumer.on_partitions_revoked(ensure_TPset(revoked))

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        await self._consumer.assign(ensure_TPset(assigned))


class ListConsumer(Consumer):
    """Faust's consumer, in the same loop as everything else, with lists instead of messages."""

    consumer_stopped_errors = (ConsumerStoppedError,)
    transport: ListTransport

    def __init__(self, transport: ListTransport, **kwargs: Any) -> None:  # noqa: ANN401 - Faust's own
        self._kafka: AIOKafkaConsumer = None
        self._fetching: asyncio.Future[Any] | None = None
        self.sink = transport.sink
        self.source = transport.source
        super().__init__(transport, **kwargs)

    # ------------------------------------------------------------------ life

    async def on_start(self) -> None:
        self._kafka = self.transport.connect(self.app.assignor)
        await self._kafka.start()

    async def on_stop(self) -> None:
        await self.sink.revoked()
        await super().on_stop()
        await self._kafka.stop()

    def close(self) -> None:
        """Faust calls this when a rebalance arrives while it stops; `on_stop` does the work."""

    def check(self) -> None:
        """Raise what ended aiokafka's group membership: it dies quietly, and nothing would ever be assigned again."""
        coordinator = self._kafka and self._kafka._coordinator  # noqa: SLF001 - said only by a poll, and we may not poll
        if coordinator is not None:
            coordinator.check_errors()

    async def subscribe(self, topics: Iterable[str]) -> None:
        self._kafka.subscribe(topics=list(topics), listener=_Rebalances(self))

    # ------------------------------------------------------- whose partitions

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Let what is in hand end before the partition is anybody else's, and keep how far it came."""
        self.stop_flow()
        await self.sink.revoked()
        await self.commit()
        await super().on_partitions_revoked(revoked)

    async def assign(self, assigned: set[TP]) -> None:
        """Fence former owners first, and only then let Faust read where the changelog ends.

        The other order loses: what a former owner commits between the two would be neither recovered nor fenced.
        """
        generation = self._kafka._coordinator.generation  # noqa: SLF001 - Faust keys a recovery by it, as its own driver does
        self.app.consumer_generation_id = generation
        await self.sink.assigned({tp.partition for tp in assigned if tp.topic == self.source})
        await self.on_partitions_assigned(assigned, generation)

    def stop_flow(self) -> None:
        super().stop_flow()
        if self._fetching is not None:
            self._fetching.cancel()

    def pause_partitions(self, tps: Iterable[TP]) -> None:
        """Paused for Faust is paused for the client too: else each changelog would hold one prefetch for ever."""
        tps = ensure_TPset(tps)
        super().pause_partitions(tps)
        self._kafka.pause(*self._owned(tps))

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        tps = ensure_TPset(tps)
        super().resume_partitions(tps)
        self._kafka.resume(*self._owned(tps))

    def _owned(self, tps: set[TP]) -> list[Any]:
        return [ensure_aiokafka_TP(tp) for tp in tps & self.assignment()]

    # ------------------------------------------------------ the way of a record

    async def _drain_messages(self, fetcher: ServiceT) -> None:
        """Poll and hand over until Faust stops us. Called by Faust's Fetcher."""
        while not (self.should_stop or fetcher.should_stop):
            if not self.flow_active:
                await self._wait_for(self.can_resume_flow)
            elif wanted := self._wanted():
                await self._poll(wanted)
            else:
                self.sink.room.clear()
                await self._wait_for(self.sink.room)

    async def _wait_for(self, event: asyncio.Event) -> None:
        try:
            await asyncio.wait_for(event.wait(), FETCH_WAIT_MS / 1000)
        except TimeoutError:
            return

    def _wanted(self) -> list[TP]:
        return [
            tp for tp in self._get_active_partitions() if tp.topic != self.source or self.sink.has_room(tp.partition)
        ]

    async def _poll(self, wanted: list[TP]) -> None:
        polling = self._kafka.getmany(*map(ensure_aiokafka_TP, wanted), timeout_ms=FETCH_WAIT_MS)
        self._fetching = asyncio.ensure_future(polling)
        try:
            fetched = await self._fetching
        except asyncio.CancelledError:
            if cast("asyncio.Task[Any]", asyncio.current_task()).cancelling():
                raise
            return  # the flow was stopped: nothing was taken, and recovery seeks before it reads
        if self.flow_active:
            await self._hand_over(fetched)

    async def _hand_over(self, fetched: Mapping[Any, list[ConsumerRecord]]) -> None:
        for tp, records in fetched.items():
            if tp.topic == self.source:
                self.sink.offer(tp.partition, records)
            elif self._is_changelog_tp(tp):
                self.apply(tp.topic, map(Change.of, records))
        if self._recovery.in_recovery:
            await self._follow_recovery(self._recovery)

    def apply(self, changelog: str, changes: Iterable[Any]) -> None:
        """Put committed changes into the table that has this changelog."""
        self._tables._changelogs[changelog].apply_changelog_batch(list(changes))  # noqa: SLF001 - Faust has no public look-up

    @property
    def _recovery(self) -> Recovery:
        return self._tables.recovery

    @property
    def _tables(self) -> TableManager:
        return cast("TableManager", self.app.tables)

    async def _follow_recovery(self, recovery: Recovery) -> None:
        """Tell Faust how far the changelogs are read, by position: their ends are commit markers, never records."""
        if not recovery.active_tps or not recovery.active_tps <= self._get_active_partitions():
            return
        for tp in recovery.active_tps:
            recovery.active_offsets[tp] = await self._kafka.position(ensure_aiokafka_TP(tp)) - 1
        if not recovery.need_recovery():
            recovery.signal_recovery_end.set()  # wakes who waits now; repeated each poll until Faust has seen it,
            recovery.signal_recovery_end.clear()  # and never left standing for the next recovery

    # ------------------------------------------------------------------ offsets

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:  # noqa: ANN401, ARG002, FBT001, FBT002 - Faust's signature
        mine = self.assignment()
        settled = {TP(self.source, partition): offset for partition, offset in self.sink.settled().items()}
        offsets = {tp: to for tp, to in settled.items() if tp in mine and self._committed_offset[tp] != to}
        return bool(offsets) and await self._commit(offsets)

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        try:
            await self._kafka.commit({ensure_aiokafka_TP(tp): to for tp, to in offsets.items()})
        except (CommitFailedError, IllegalStateError, KafkaError) as error:
            self.log.warning("offsets not committed, will be again: %s", type(error).__name__)
            return False
        self._committed_offset.update(offsets)
        return True

    async def perform_seek(self) -> None:
        """Start each source partition where the group left it, or at its beginning.

        A log that is shorter than that was cut or recreated. It is read from its beginning: a fact that is held already
        is answered again, and changes nothing.
        """
        sources = [tp for tp in self.assignment() if tp.topic == self.source]
        ends = await self.highwaters(*sources)
        for tp in sources:
            committed = await self._kafka.committed(ensure_aiokafka_TP(tp))
            if committed is not None and committed > ends[tp]:
                logs.get("scoring").warning("the log lost what was read of it: from its beginning", **tp._asdict())
                committed = None
            self._committed_offset[tp] = committed
            if committed is None:
                await self._kafka.seek_to_beginning(ensure_aiokafka_TP(tp))
            else:
                self._kafka.seek(ensure_aiokafka_TP(tp), committed)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        await self.perform_seek()
        return {tp: offset for tp, offset in self._committed_offset.items() if offset is not None}

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        for tp, offset in partitions.items():
            self._kafka.seek(ensure_aiokafka_TP(tp), offset)
        await asyncio.gather(*(self._kafka.position(ensure_aiokafka_TP(tp)) for tp in partitions))

    async def _seek(self, partition: TP, offset: int) -> None:
        self._kafka.seek(ensure_aiokafka_TP(partition), offset)

    # ------------------------------------------------------------- what Faust asks

    def assignment(self) -> set[TP]:
        return ensure_TPset(self._kafka.assignment()) if self._kafka else set()

    async def position(self, tp: TP) -> int | None:
        return cast("int", await self._kafka.position(ensure_aiokafka_TP(tp)))

    def highwater(self, tp: TP) -> int:
        return cast("int", self._kafka.highwater(ensure_aiokafka_TP(tp)))

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        return self._by_tp(await self._kafka.beginning_offsets([ensure_aiokafka_TP(tp) for tp in partitions]))

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        return self._by_tp(await self._kafka.end_offsets([ensure_aiokafka_TP(tp) for tp in partitions]))

    def _by_tp(self, offsets: Mapping[Any, int]) -> dict[TP, int]:
        return {TP(tp.topic, tp.partition): offset for tp, offset in offsets.items()}

    def topic_partitions(self, topic: str) -> int | None:
        known = self._kafka.partitions_for_topic(topic)
        return len(known) if known else None

    def key_partition(self, topic: str, key: bytes | None, partition: int | None = None) -> int | None:  # noqa: ARG002 - Faust's signature
        """Derived records keep their source's partition; nothing here chooses one."""
        return partition

    async def create_topic(self, topic: str, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Faust's signature
        """Topics are created by `services.platform.kafka.create_topics`, never by a worker."""

    def _new_topicpartition(self, topic: str, partition: int) -> TP:
        return TP(topic, partition)

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ANN401, ASYNC109 - Faust's signature
        raise NotImplementedError("records travel as lists: see _drain_messages")

    def _to_message(self, tp: TP, record: Any) -> Any:  # noqa: ANN401 - Faust's signature
        raise NotImplementedError("records travel as lists: see _drain_messages")


class Connect(Protocol):
    """Makes the Kafka client of this worker, with Faust's assignor."""

    def __call__(self, assignor: Any, /) -> AIOKafkaConsumer: ...  # noqa: ANN401 - aiokafka's own


class ListTransport(Transport):
    """Faust's aiokafka transport with our consumer."""

    Consumer = ListConsumer

    def __init__(self, app: Any, *, connect: Connect, sink: Sink, source: str) -> None:  # noqa: ANN401 - a Faust app
        super().__init__(app.conf.broker_consumer, app)
        self.connect = connect
        self.sink = sink
        self.source = source
