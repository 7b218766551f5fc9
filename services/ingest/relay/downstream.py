"""How far scoring is behind: what it has not read yet waits in the outbox, not in the log in front of everybody.

A log is read in its order. Published at once, a backfill of a million facts would lie before the next session's rating
of everybody; held back here, live facts overtake it. A flood of live facts goes in small rounds, of which every clinic
has its share. Where Kafka does not tell, all flows: no promise rests on this.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from time import monotonic

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from schemas.topics import SESSION_EVENTS
from services.ingest.answered import SCORING_GROUP
from services.ingest.metrics import RelayMetrics
from services.platform import kafka
from services.platform.forever import forever
from services.platform.settings import Settings

MOST_BEHIND = 1_000
"""Facts: a fraction of a second of one scoring worker's time, enough for it never to idle between two looks."""
SMALL, LEAST = 200, 32
"""Rows of a live round from so many facts behind on, and from twice as many: every clinic's oldest has room."""
LOOK_SECONDS = 0.05
EVERY_SECONDS = 0.1


@dataclass(slots=True)
class Downstream:
    """Asks Kafka, with clients of its own that are made when they are first needed, and again after a fault."""

    settings: Settings
    metrics: RelayMetrics
    _clients: tuple[AIOKafkaConsumer, AIOKafkaAdminClient] | None = field(default=None)
    _looked_at: float = -LOOK_SECONDS
    most: int | None = None

    async def run(self) -> None:
        """Keep `far` up to date, until cancelled."""
        await forever("relay.downstream", self.far_behind, pause=EVERY_SECONDS)

    async def far_behind(self) -> bool:
        """Whether bulk should wait, and live facts go in small rounds."""
        if monotonic() - self._looked_at > LOOK_SECONDS:
            self._looked_at = monotonic()
            behind = await self._told()
            self.metrics.scoring_behind.set(behind)
            self.most = room(behind)
        return self.most is not None

    async def _told(self) -> int:
        try:
            return await self._behind()
        except KafkaError:
            await self.close()
            return 0

    async def close(self) -> None:
        """Let go of the connections."""
        clients, self._clients = self._clients, None
        if clients is not None:
            looker, admin = clients
            with contextlib.suppress(KafkaError):
                await looker.stop()
            with contextlib.suppress(KafkaError):
                await admin.close()

    async def _behind(self) -> int:
        looker, admin = self._clients or await self._connected()
        read = await admin.list_consumer_group_offsets(self.settings.topic(SCORING_GROUP))
        topic = self.settings.topic(SESSION_EVENTS.name)
        known = {place: max(0, to.offset) for place, to in read.items() if place.topic == topic}
        ends = await looker.end_offsets(list(known)) if known else {}
        return sum(max(0, end - known[place]) for place, end in ends.items())

    async def _connected(self) -> tuple[AIOKafkaConsumer, AIOKafkaAdminClient]:
        looker, admin = kafka.consumer(self.settings), AIOKafkaAdminClient(**kafka.connection(self.settings))
        self._clients = looker, admin
        await looker.start()
        await admin.start()
        return self._clients


def room(behind: int) -> int | None:
    """How many rows a live round may have while scoring is so far behind; `None`: as many as there are.

    >>> room(1_000), room(1_001), room(2_001)
    (None, 200, 32)
    """
    if behind <= MOST_BEHIND:
        return None
    return SMALL if behind <= 2 * MOST_BEHIND else LEAST
