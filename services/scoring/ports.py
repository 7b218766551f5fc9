"""What the road and the work upon it know of each other."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from aiokafka import ConsumerRecord
from faust.types import TP


class Sink(Protocol):
    """Who processes the records. Partitions are those of the one source topic."""

    room: asyncio.Event

    async def assigned(self, partitions: set[int]) -> None:
        """Own these partitions from now on; when it returns, every former owner is fenced."""

    async def revoked(self) -> None:
        """Finish or abandon what is in hand; own nothing from now on."""

    def offer(self, partition: int, records: list[ConsumerRecord]) -> None:
        """Take a list of records, in order."""

    def has_room(self, partition: int) -> bool:
        """Whether more may be offered."""

    def settled(self) -> Mapping[int, int]:
        """By partition, the offset from which on nothing is settled yet."""


class Change(NamedTuple):
    """A changelog record as Faust's stores take it (`StoreT.apply_changelog_batch`): event and message at once."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes | None

    @classmethod
    def of(cls, record: ConsumerRecord) -> Change:
        return cls(record.topic, record.partition, record.offset, record.key, record.value)

    @property
    def message(self) -> Change:
        return self

    @property
    def tp(self) -> TP:
        return TP(self.topic, self.partition)
