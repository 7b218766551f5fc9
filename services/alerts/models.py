"""Alerts' tables: what is known of each episode, the alerts and their steps, and how far Kafka was read."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Identity, Index, Integer, LargeBinary, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.platform.db import Base
from services.platform.outbox import OutboxColumns

SCHEMA = "alerts"
OUTBOX = "alerts.outbox"


class EpisodeRow(Base):
    """The latest snapshot of an episode. `due_at` is the next deadline that the sweep has to look at."""

    __tablename__ = "episode"
    __table_args__ = (
        Index("ix_episode_client", "tenant_id", "client_id"),
        Index("ix_episode_due", "tenant_id", "due_at", postgresql_where=text("due_at is not null")),
        {"schema": SCHEMA},
    )

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    episode_id: Mapped[UUID] = mapped_column(primary_key=True)
    client_id: Mapped[UUID]
    owner_id: Mapped[UUID | None]
    status: Mapped[str] = mapped_column(String(8))
    opened_at: Mapped[datetime | None]
    last_attended_at: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    engine: Mapped[int] = mapped_column(Integer)
    facts: Mapped[int] = mapped_column(Integer)
    snapshot: Mapped[dict[str, Any]] = mapped_column(JSONB)


class ReadingRow(Base):
    """The latest reading of a rating; a withdrawn one stays as a mark, so that no older reading comes back."""

    __tablename__ = "reading"
    __table_args__ = (Index("ix_reading_episode", "tenant_id", "episode_id"), {"schema": SCHEMA})

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    rating_id: Mapped[UUID] = mapped_column(primary_key=True)
    episode_id: Mapped[UUID]
    occurred_at: Mapped[datetime | None]
    engine: Mapped[int] = mapped_column(Integer)
    facts: Mapped[int] = mapped_column(Integer)
    withdrawn: Mapped[bool]
    reading: Mapped[dict[str, Any] | None] = mapped_column(JSONB)


class AlertRow(Base):
    __tablename__ = "alert"
    __table_args__ = (
        Index("ix_alert_episode", "tenant_id", "episode_id"),
        Index("ix_alert_client", "tenant_id", "client_id"),
        Index("ix_alert_opened", "tenant_id", "opened_at", "alert_id"),
        Index(
            "uq_alert_standing",
            "tenant_id",
            "episode_id",
            "kind",
            unique=True,
            postgresql_where=text("state in ('open', 'acknowledged') and kind <> 'risk-item'"),
        ),
        {"schema": SCHEMA},
    )

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    alert_id: Mapped[UUID] = mapped_column(primary_key=True)
    client_id: Mapped[UUID]
    episode_id: Mapped[UUID]
    owner_id: Mapped[UUID | None]
    kind: Mapped[str] = mapped_column(String(32))
    severity: Mapped[str] = mapped_column(String(8))
    state: Mapped[str] = mapped_column(String(16))
    rule: Mapped[str] = mapped_column(String(64))
    policy: Mapped[str] = mapped_column(String(64))
    reason: Mapped[str] = mapped_column(String(500))
    rating_id: Mapped[UUID | None]
    occurred_at: Mapped[datetime]
    opened_at: Mapped[datetime]
    historical: Mapped[bool]
    evidence: Mapped[dict[str, Any]] = mapped_column(JSONB)
    version: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    """Of a risk answer: the version of the clinic's record that it speaks of."""


class StepRow(Base):
    """One step of an alert's life; append-only. `number` is their order: a feed's clock may stand still."""

    __tablename__ = "step"
    __table_args__ = (Index("ix_step_alert", "tenant_id", "alert_id", "number"), {"schema": SCHEMA})

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    step_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    alert_id: Mapped[UUID]
    action: Mapped[str] = mapped_column(String(16))
    actor: Mapped[str | None] = mapped_column(String(200))
    reason: Mapped[str | None] = mapped_column(String(500))
    at: Mapped[datetime]


class TenantClock(Base):
    """A clinic's now, where its feed is the clock; when it was last heard of; whether it has outgrown the fallback.

    `swept_at` is the now that its deadlines were last held against: only the sweep moves it, so that a record that
    comes late, or early, is judged by the same now as its neighbours.
    """

    __tablename__ = "tenant_clock"
    __table_args__ = ({"schema": SCHEMA},)

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    known_at: Mapped[datetime | None]
    heard_at: Mapped[datetime]
    grown: Mapped[bool] = mapped_column(server_default=text("false"))
    swept_at: Mapped[datetime | None]
    shadow: Mapped[str | None] = mapped_column(String(64))
    """The policy that the clinic tries beside the live one."""
    shadow_since: Mapped[datetime | None]
    policy_asked: Mapped[int | None]
    """The version of its own policy that the operator asked for, last."""
    policy_version: Mapped[int | None]
    """The one that decisions are made under; `None`: the installation's."""
    policy_since: Mapped[datetime | None]


class TenantPolicy(Base):
    """A clinic's own policies, one after the other; append-only. Without a definition: the installation's again."""

    __tablename__ = "tenant_policy"
    __table_args__ = ({"schema": SCHEMA},)

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    policy: Mapped[str | None] = mapped_column(String(64))
    definition: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    set_at: Mapped[datetime]
    set_by: Mapped[str] = mapped_column(String(200))


class ShadowSignal(Base):
    """One rating that the live policy or the candidate speaks of: recorded and compared, never shown or delivered."""

    __tablename__ = "shadow_signal"
    __table_args__ = ({"schema": SCHEMA},)

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    policy: Mapped[str] = mapped_column(String(64), primary_key=True)
    rating_id: Mapped[UUID] = mapped_column(primary_key=True)
    episode_id: Mapped[UUID]
    occurred_at: Mapped[datetime | None]
    live_policy: Mapped[str] = mapped_column(String(64))
    live_rule: Mapped[str | None] = mapped_column(String(64))
    shadow_rule: Mapped[str | None] = mapped_column(String(64))
    engine: Mapped[int] = mapped_column(Integer)
    facts: Mapped[int] = mapped_column(Integer)


class ConsumerOffset(Base):
    """How far a partition was read, in the transaction of its effects; `digest` and `last_at` tell another log."""

    __tablename__ = "consumer_offset"
    __table_args__ = ({"schema": SCHEMA},)

    topic: Mapped[str] = mapped_column(String(200), primary_key=True)
    partition: Mapped[int] = mapped_column(Integer, primary_key=True)
    next_offset: Mapped[int] = mapped_column(BigInteger)
    last_offset: Mapped[int] = mapped_column(BigInteger)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    last_at: Mapped[datetime | None]


class Outbox(OutboxColumns, Base):
    __tablename__ = "outbox"
    __table_args__ = (Index("ix_alerts_outbox_bucket", "lane", "bucket", "tenant_id", "number"), {"schema": SCHEMA})
