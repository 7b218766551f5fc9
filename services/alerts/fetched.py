"""What one look at Kafka brought: the records, and what they say."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from aiokafka import ConsumerRecord, TopicPartition

from schemas.codec import decode
from schemas.errors import ContractError
from schemas.topics import ALLIANCE_SCORES, Topic
from services.alerts.adapters import mirror
from services.alerts.adapters.batch import Batch

SLICE = 20
"""Records decoded without a break: a fraction of a millisecond."""


@dataclass(slots=True)
class Fetched:
    """Records by place, and their batch. `assignment`: under which they were read."""

    assignment: int
    places: Mapping[TopicPartition, list[ConsumerRecord]]
    batch: Batch = field(default_factory=Batch)
    bad: list[tuple[ConsumerRecord, ContractError]] = field(default_factory=list)

    @property
    def records(self) -> list[ConsumerRecord]:
        return [record for each in self.places.values() for record in each]

    @property
    def count(self) -> int:
        return sum(map(len, self.places.values()))

    async def read(self, topics: Mapping[str, Topic]) -> None:
        """Decode: a slice at a time, so that a transaction going on beside it never waits long."""
        records = self.records
        for start in range(0, len(records), SLICE):
            for record in records[start : start + SLICE]:
                try:
                    self.batch.add(*said(topics, record))
                except ContractError as error:
                    self.bad.append((record, error))
            await asyncio.sleep(0)

    def of(self, topics: Mapping[str, Topic], episodes: Collection[UUID]) -> Iterator[ConsumerRecord]:
        """The records that speak of these episodes."""
        unread = {id(record) for record, _ in self.bad}
        for record in self.records:
            if id(record) not in unread and said(topics, record)[0].episode_id in episodes:
                yield record


def said(topics: Mapping[str, Topic], record: ConsumerRecord) -> tuple[Any, str | None]:
    """The event in a record, and its text where that is to be stored.

    Raises:
        ContractError: it holds none of its topic's.
    """
    topic = topics[record.topic]
    if topic is ALLIANCE_SCORES:
        return mirror.read(record.value, record.headers)
    return decode(topic, record.value, record.headers), None
