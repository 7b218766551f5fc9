"""Ingest's tables: the inbox of facts, the outbox, episodes, what receipts tell, and clinics' fitted parameters."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Identity,
    Index,
    Integer,
    LargeBinary,
    String,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from services.platform.db import Base
from services.platform.outbox import OutboxColumns

SCHEMA = "ingest"
OUTBOX = "ingest.outbox"


class InboxFact(Base):
    """One fact as it was accepted: the system of record. `value` is what was published, for replay."""

    __tablename__ = "inbox"
    __table_args__ = (
        UniqueConstraint("tenant_id", "source", "external_id", "version"),
        Index("ix_inbox_client", "tenant_id", "client_id", "received_at"),
        {"schema": SCHEMA},
    )

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(String(200))
    external_id: Mapped[str] = mapped_column(String(200))
    version: Mapped[int] = mapped_column(Integer)
    body_hash: Mapped[bytes] = mapped_column(LargeBinary)
    record_id: Mapped[UUID]
    client_id: Mapped[UUID]
    episode_id: Mapped[UUID]
    type: Mapped[str] = mapped_column(String(40))
    occurred_at: Mapped[datetime]
    received_at: Mapped[datetime]
    value: Mapped[bytes] = mapped_column(LargeBinary)


class Episode(Base):
    """One course of care. `reference` is a keyed token of the clinic's own; `None` marks the implicit episode."""

    __tablename__ = "episode"
    __table_args__ = (
        UniqueConstraint("tenant_id", "client_id", "reference"),
        Index("ix_episode_implicit", "tenant_id", "client_id", unique=True, postgresql_where=text("implicit")),
        {"schema": SCHEMA},
    )

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    episode_id: Mapped[UUID] = mapped_column(primary_key=True)
    client_id: Mapped[UUID]
    reference: Mapped[UUID | None]
    implicit: Mapped[bool]
    opened_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    facts: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    merged_into: Mapped[UUID | None]
    absorbs: Mapped[bool] = mapped_column(server_default=text("false"))


class Merge(Base):
    """Two clients that were found to be one. `merge_id` is its fact; `losers` are all who are the survivor by it."""

    __tablename__ = "merge"
    __table_args__ = (
        Index("uq_merge_loser", "tenant_id", "loser_id", unique=True, postgresql_where=text("undone_at is null")),
        Index("ix_merge_survivor", "tenant_id", "survivor_id"),
        {"schema": SCHEMA},
    )

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    merge_id: Mapped[UUID] = mapped_column(primary_key=True)
    record_id: Mapped[UUID]
    loser_id: Mapped[UUID]
    survivor_id: Mapped[UUID]
    losers: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid))
    merged_at: Mapped[datetime]
    undone_at: Mapped[datetime | None]


class Outbox(OutboxColumns, Base):
    __tablename__ = "outbox"
    __table_args__ = (Index("ix_outbox_bucket", "lane", "bucket", "tenant_id", "number"), {"schema": SCHEMA})


class Publication(Base):
    """When a fact was last acknowledged by Kafka: for receipts, and for the reconciler to ask what came of it."""

    __tablename__ = "publication"
    __table_args__ = (Index("ix_publication_published_at", "published_at"), {"schema": SCHEMA})

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    published_at: Mapped[datetime]


class Outcome(Base):
    """What became of a fact: `scored`, `no-reading` or `dead-lettered`, for receipts."""

    __tablename__ = "outcome"
    __table_args__ = (Index("ix_outcome_at", "at", postgresql_using="brin"), {"schema": SCHEMA})

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    outcome: Mapped[str] = mapped_column(String(16))
    at: Mapped[datetime]


class TailOffset(Base):
    """How far the receipts' tail read a partition: see `services.platform.positions`."""

    __tablename__ = "tail_offset"
    __table_args__ = ({"schema": SCHEMA},)

    topic: Mapped[str] = mapped_column(String(200), primary_key=True)
    partition: Mapped[int] = mapped_column(Integer, primary_key=True)
    next_offset: Mapped[int] = mapped_column(BigInteger)
    last_offset: Mapped[int] = mapped_column(BigInteger)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    last_at: Mapped[datetime | None]


class LogCut(Base):
    """A log of answers lost its end: what was answered `since` has to be asked again. The reconciler takes it away."""

    __tablename__ = "log_cut"
    __table_args__ = ({"schema": SCHEMA},)

    number: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    topic: Mapped[str] = mapped_column(String(200))
    partition: Mapped[int] = mapped_column(Integer)
    since: Mapped[datetime]
    seen_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Reconciliation(Base):
    """Up to which time of publication every fact was found answered, or published again."""

    __tablename__ = "reconciliation"
    __table_args__ = ({"schema": SCHEMA},)

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    watermark: Mapped[datetime]


class ChangelogEnd(Base):
    """Where a partition of scoring's changelog was seen to end: it never ends earlier, unless it was lost."""

    __tablename__ = "changelog_end"
    __table_args__ = ({"schema": SCHEMA},)

    topic: Mapped[str] = mapped_column(String(200), primary_key=True)
    partition: Mapped[int] = mapped_column(Integer, primary_key=True)
    next_offset: Mapped[int] = mapped_column(BigInteger)


class Replay(Base):
    """A replay and how far it came: `at_*` is the last fact published again, in the order of the replay."""

    __tablename__ = "replay"
    __table_args__ = (
        Index("uq_replay_running", "scope", unique=True, postgresql_where=text("finished_at is null")),
        {"schema": SCHEMA},
    )

    replay_id: Mapped[UUID] = mapped_column(primary_key=True)
    scope: Mapped[str] = mapped_column(String(100))
    at_tenant: Mapped[UUID | None]
    at_client: Mapped[UUID | None]
    at_received: Mapped[datetime | None]
    at_event: Mapped[UUID | None]
    done: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    total: Mapped[int] = mapped_column(BigInteger)
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    finished_at: Mapped[datetime | None]


class DeadLetter(Base):
    """A record that could not be processed, as it came, and what was decided about it. No tenant: its key is no key."""

    __tablename__ = "dead_letter"
    __table_args__ = (
        Index("ix_dead_letter_state", "state", "seen_at"),
        Index("ix_dead_letter_fact", "fact_id"),
        {"schema": SCHEMA},
    )

    dead_letter_id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID | None]
    fact_id: Mapped[UUID | None]
    topic: Mapped[str] = mapped_column(String(100))
    partition: Mapped[int] = mapped_column(Integer)
    record_offset: Mapped[int] = mapped_column(BigInteger)
    code: Mapped[str] = mapped_column(String(40))
    reason: Mapped[str] = mapped_column(String(200))
    attempt: Mapped[int] = mapped_column(Integer)
    key: Mapped[bytes] = mapped_column(LargeBinary)
    value: Mapped[bytes | None] = mapped_column(LargeBinary)
    headers: Mapped[bytes] = mapped_column(LargeBinary)
    seen_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(8), server_default=text("'open'"))
    decided_at: Mapped[datetime | None]
    why: Mapped[str | None] = mapped_column(String(200))


class TenantConfig(Base):
    """One version of a clinic's fitted parameters: the system of record. `body` is what was published, for replay."""

    __tablename__ = "tenant_config"
    __table_args__ = ({"schema": SCHEMA},)

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    in_force_from: Mapped[datetime]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
