"""What the transport relies on inside Faust, mode and aiokafka. An upgrade that changes it must fail here."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import aiokafka
import faust
import pytest
from aiokafka.consumer.fetcher import Fetcher as KafkaFetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.producer.message_accumulator import BatchBuilder
from faust.assignor.partition_assignor import PartitionAssignor
from faust.stores.memory import Store
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport import consumer as faust_consumer
from faust.transport.drivers.aiokafka import Transport
from faust.types import TP

from services.scoring.app import build_app
from services.scoring.ports import Change
from services.scoring.settings import ScoringSettings
from services.scoring.transport import ListConsumer


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (faust_consumer.Consumer._drain_messages, ["self", "fetcher"]),
        (faust_consumer.Consumer.force_commit, ["self", "topics", "start_new_transaction"]),
        (faust_consumer.Consumer.on_partitions_assigned, ["self", "assigned", "generation_id"]),
        (faust_consumer.Consumer.on_partitions_revoked, ["self", "revoked"]),
        (faust_consumer.Consumer.perform_seek, ["self"]),
        (faust_consumer.Consumer.stop_flow, ["self"]),
        (faust_consumer.Consumer.pause_partitions, ["self", "tps"]),
        (faust_consumer.Consumer.resume_partitions, ["self", "tps"]),
        (Transport.__init__, ["self", "args", "kwargs"]),
        (Store.apply_changelog_batch, ["self", "batch", "to_key", "to_value"]),
        (Recovery.need_recovery, ["self"]),
        (GroupCoordinator.check_errors, ["self"]),
        (BatchBuilder.append, ["self", "timestamp", "key", "value", "headers"]),
        (aiokafka.AIOKafkaProducer.send_batch, ["self", "batch", "topic", "partition"]),
        (aiokafka.AIOKafkaConsumer.getmany, ["self", "partitions", "timeout_ms", "max_records"]),
    ],
)
def test_signatures_are_those_we_build_on(function: Callable[..., Any], names: list[str]) -> None:
    """What we override or call takes what it took."""
    assert list(inspect.signature(function).parameters) == names


@pytest.mark.parametrize(
    ("where", "phrase"),
    [
        (faust_consumer.Fetcher, "consumer._drain_messages(self)"),
        (faust_consumer.Consumer.commit, "self.force_commit("),
        (Recovery._restart_recovery.fun, "self.signal_recovery_end.wait()"),
        (Recovery._restart_recovery.fun, "consumer.resume_partitions)(active_tps)"),
        (Recovery._restart_recovery.fun, "consumer.pause_partitions)(active_tps)"),
        (Recovery.on_recovery_completed, "consumer.perform_seek()"),
        (Recovery._seek_offsets, "consumer.seek_wait(new_offsets)"),
        (Recovery.active_remaining, "highwater - offsets[tp]"),
        (TableManager.add, "self._changelogs[table.changelog_topic.get_topic_name()] = table"),
        (PartitionAssignor.on_assignment, "metadata.url == str(self._url)"),
        (KafkaFetcher.fetched_records, "await asyncio.wait([waiter], timeout=timeout)"),
    ],
)
def test_the_steps_we_join_in_are_where_they_were(where: Callable[..., Any], phrase: str) -> None:
    """The few lines of theirs whose order our recovery, commits and cancellations depend on."""
    assert phrase in inspect.getsource(where)


async def test_no_abstract_method_is_left_to_surprise_us() -> None:
    """Faust asks nothing of a consumer that ours does not answer."""
    assert not inspect.isabstract(ListConsumer)


async def test_names_are_explicit_and_nothing_connects_when_the_app_is_built() -> None:
    """The app, its table and its topics carry the installation's prefix; building it opens nothing."""
    app = build_app(ScoringSettings(kafka_topic_prefix="clinic-", kafka_partitions=3))
    assert app.conf.id == "clinic-attune-scoring"
    assert set(app.tables) == {"episodes"}
    assert app.tables.changelog_topics == {"clinic-attune-scoring-episodes-changelog"}
    assert {name for topic in app.topics for name in topic.topics} == {"clinic-session-events"}
    assert not app.started
    assert not app.conf.web_enabled


async def test_a_store_takes_our_changes_and_forgets_a_partition() -> None:
    """Committed changes land in Faust's store by partition, a tombstone removes, and a lost partition is evicted."""
    app = build_app(ScoringSettings(kafka_partitions=3))
    table: faust.Table[bytes, bytes] = app.episodes
    changes = [Change("c", 0, 1, b"a", b"1"), Change("c", 1, 1, b"b", b"2"), Change("c", 1, 2, b"gone", None)]
    table.apply_changelog_batch(changes)  # type: ignore[arg-type]  # a change has what a store reads of an event
    assert dict(table.data.items()) == {b"a": b"1", b"b": b"2"}
    await table.data.on_recovery_completed({TP("c", 0)}, set())
    assert dict(table.data.items()) == {b"a": b"1"}


async def test_an_event_set_and_cleared_at_once_wakes_who_waits() -> None:
    """Asyncio's promise that the pulse at the end of a recovery rests on."""
    event = asyncio.Event()
    waiting = asyncio.create_task(event.wait())
    await asyncio.sleep(0)
    event.set()
    event.clear()
    assert await asyncio.wait_for(waiting, 1)
