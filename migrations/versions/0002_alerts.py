"""Alerts: episodes, readings, alerts and their steps, clocks, offsets, outbox.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

from alembic import op

from migrations.policies import allow, grant, secure

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STATEMENTS = """
create schema alerts;
create table alerts.episode (
  tenant_id uuid not null,
  episode_id uuid not null,
  client_id uuid not null,
  owner_id uuid,
  status varchar(8) not null,
  opened_at timestamptz,
  last_attended_at timestamptz,
  due_at timestamptz,
  engine integer not null,
  facts integer not null,
  snapshot jsonb not null,
  primary key (tenant_id, episode_id));
create index ix_episode_client on alerts.episode (tenant_id, client_id);
create index ix_episode_due on alerts.episode (tenant_id, due_at) where due_at is not null;
create table alerts.reading (
  tenant_id uuid not null,
  rating_id uuid not null,
  episode_id uuid not null,
  occurred_at timestamptz,
  engine integer not null,
  facts integer not null,
  withdrawn boolean not null,
  reading jsonb,
  primary key (tenant_id, rating_id));
create index ix_reading_episode on alerts.reading (tenant_id, episode_id);
create table alerts.alert (
  tenant_id uuid not null,
  alert_id uuid not null,
  client_id uuid not null,
  episode_id uuid not null,
  owner_id uuid,
  kind varchar(32) not null,
  severity varchar(8) not null,
  state varchar(16) not null,
  rule varchar(64) not null,
  policy varchar(64) not null,
  reason varchar(500) not null,
  rating_id uuid,
  occurred_at timestamptz not null,
  opened_at timestamptz not null,
  historical boolean not null,
  evidence jsonb not null,
  version integer not null default 1,
  primary key (tenant_id, alert_id));
create index ix_alert_episode on alerts.alert (tenant_id, episode_id);
create index ix_alert_client on alerts.alert (tenant_id, client_id);
create index ix_alert_opened on alerts.alert (tenant_id, opened_at, alert_id);
create unique index uq_alert_standing on alerts.alert (tenant_id, episode_id, kind)
  where state in ('open', 'acknowledged') and kind <> 'risk-item';
create table alerts.step (
  number bigint generated always as identity,
  tenant_id uuid not null,
  step_id uuid not null,
  alert_id uuid not null,
  action varchar(16) not null,
  actor varchar(200),
  reason varchar(500),
  at timestamptz not null,
  primary key (tenant_id, step_id));
create index ix_step_alert on alerts.step (tenant_id, alert_id, number);
create table alerts.tenant_clock (
  tenant_id uuid primary key,
  known_at timestamptz,
  heard_at timestamptz not null,
  grown boolean not null default false,
  swept_at timestamptz);
create table alerts.consumer_offset (
  topic varchar(200) not null,
  partition integer not null,
  next_offset bigint not null,
  last_offset bigint not null,
  digest bytea not null,
  primary key (topic, partition));
create table alerts.outbox (
  number bigint generated always as identity primary key,
  tenant_id uuid not null,
  event_id uuid not null,
  lane smallint not null,
  topic varchar(100) not null,
  key bytea not null,
  value bytea not null,
  headers bytea not null,
  created_at timestamptz not null);
create index ix_alerts_outbox_turn on alerts.outbox (lane, tenant_id, number)
"""

OF_TENANTS = (
    "alerts.episode",
    "alerts.reading",
    "alerts.alert",
    "alerts.step",
    "alerts.tenant_clock",
    "alerts.outbox",
)


def upgrade() -> None:
    for statement in STATEMENTS.split(";\n"):
        op.execute(statement)
    for table in OF_TENANTS:
        secure(table)
    secure("alerts.consumer_offset", by_tenant=False)
    op.execute("grant usage on schema alerts to attune_alerts, attune_operator")
    for table in ("alerts.episode", "alerts.reading", "alerts.alert", "alerts.tenant_clock", "alerts.consumer_offset"):
        grant("select, insert, update", table, "attune_alerts")
    grant("select, insert", "alerts.step", "attune_alerts")
    grant("select, insert, delete", "alerts.outbox", "attune_alerts")
    for table in ("alerts.episode", "alerts.reading", "alerts.alert", "alerts.tenant_clock", "alerts.outbox"):
        grant("select", table, "attune_operator")
    _wider_policies()


def _wider_policies() -> None:
    """Work that crosses tenants, by name."""
    # Offsets belong to partitions, which hold everybody's records.
    allow("alerts.consumer_offset", "attune_alerts", command="all", using="true")
    # The sweep goes from clinic to clinic: it has to know which there are.
    allow("alerts.tenant_clock", "attune_alerts", command="select", using="true")
    # Its own relay carries every clinic's steps to Kafka.
    for command in ("select", "delete"):
        allow("alerts.outbox", "attune_alerts", command=command, using="true")
    for table in ("alerts.episode", "alerts.reading", "alerts.alert", "alerts.tenant_clock", "alerts.outbox"):
        allow(table, "attune_operator", command="select", using="true")


def downgrade() -> None:
    op.execute("drop schema alerts cascade")
