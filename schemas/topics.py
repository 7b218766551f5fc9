"""The topics: who writes, who reads, what key, how long. Partition counts are equal everywhere (co-partitioning)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import TypeAdapter

from schemas import events

DAY_MS = 86_400_000
DEFAULT_PARTITIONS = 12
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""An episode of 5,000 facts must fit its changelog record."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic's contract. `contract` is None where the value is not an event of ours (bytes kept as they came)."""

    name: str
    meaning: str
    key: str
    owner: str
    readers: tuple[str, ...]
    cleanup: Literal["delete", "compact"]
    retention_days: int | None
    contract: TypeAdapter[Any] | None

    def config(self) -> dict[str, str]:
        """Broker settings of this topic.

        The broker's clock counts: by the writers', it refuses all they write once theirs is an hour ahead of its own.
        """
        common = {
            "cleanup.policy": self.cleanup,
            "max.message.bytes": str(MAX_MESSAGE_BYTES),
            "message.timestamp.type": "LogAppendTime",
        }
        if self.retention_days is not None:
            common["retention.ms"] = str(self.retention_days * DAY_MS)
        return common


SESSION_EVENTS = Topic(
    name="session-events",
    meaning="Facts of one client's care, in the order ingest recorded them",
    key="tenant:client",
    owner="ingest",
    readers=("scoring",),
    cleanup="delete",
    retention_days=30,
    contract=TypeAdapter(events.AnyFact),
)
ALLIANCE_SCORES = Topic(
    name="alliance-scores",
    meaning="What scoring concludes: a snapshot for every fact, a reading for every rating",
    key="tenant:client",
    owner="scoring",
    readers=("alerts", "ingest"),
    cleanup="delete",
    retention_days=30,
    contract=TypeAdapter(events.AnyConclusion),
)
RISK_ITEMS = Topic(
    name="risk-items",
    meaning="Risk answers, past every model and backlog",
    key="tenant:client",
    owner="ingest",
    readers=("alerts",),
    cleanup="delete",
    retention_days=30,
    contract=TypeAdapter(events.RiskAnswered),
)
ALERTS = Topic(
    name="alerts",
    meaning="Every step of an alert's life",
    key="tenant:client",
    owner="alerts",
    readers=(),
    cleanup="delete",
    retention_days=30,
    contract=TypeAdapter(events.AlertStep),
)
TENANT_CONFIGS = Topic(
    name="tenant-configs",
    meaning="Engine parameters fitted to a clinic, every version for ever",
    key="tenant:version",
    owner="ingest",
    readers=("scoring",),
    cleanup="compact",
    retention_days=None,
    contract=TypeAdapter(events.TenantConfig),
)
DEAD_LETTERS = Topic(
    name="dead-letters",
    meaning="What could not be processed: the original bytes, with where, why and how often in the headers",
    key="as it came",
    owner="platform",
    readers=("ingest",),
    cleanup="delete",
    retention_days=30,
    contract=None,
)
EPISODES_CHANGELOG = Topic(
    name="attune-scoring-episodes-changelog",
    meaning="Scoring's table: one encoded episode per key; a cache, rebuilt by replay",
    key="tenant:client:episode",
    owner="scoring",
    readers=("scoring",),
    cleanup="compact",
    retention_days=None,
    contract=None,
)

TOPICS: tuple[Topic, ...] = (
    SESSION_EVENTS,
    ALLIANCE_SCORES,
    RISK_ITEMS,
    ALERTS,
    TENANT_CONFIGS,
    DEAD_LETTERS,
    EPISODES_CHANGELOG,
)


def client_key(tenant_id: object, client_id: object) -> bytes:
    """The key all of one client's messages share, so that they keep their order and their partition.

    >>> client_key("t", "c")
    b't:c'
    """
    return f"{tenant_id}:{client_id}".encode()


def config_key(tenant_id: object, version: int) -> bytes:
    """The key of one version of a clinic's parameters: compaction keeps what episodes are pinned to.

    >>> config_key("t", 3)
    b't:3'
    """
    return f"{tenant_id}:{version}".encode()
