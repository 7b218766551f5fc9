"""Tenants and keys, the vault, and ingest's inbox and outbox.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

from alembic import op

from migrations import policies
from migrations.policies import allow, grant, secure

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STATEMENTS = """
create schema access;
create table access.tenant (
  tenant_id uuid primary key,
  name varchar(64) not null constraint uq_tenant_name unique,
  display_name varchar(200) not null,
  created_at timestamptz not null default now(),
  settings jsonb not null default '{}');
create table access.api_key (
  tenant_id uuid not null references access.tenant (tenant_id),
  prefix varchar(8) not null constraint uq_api_key_prefix unique,
  digest bytea not null,
  scopes varchar(32)[] not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  revoked_at timestamptz,
  primary key (tenant_id, prefix));

create schema vault;
create table vault.entry (
  tenant_id uuid not null,
  surrogate uuid not null,
  kind varchar(16) not null,
  blind_index bytea not null,
  ciphertext bytea not null,
  key_id varchar(16) not null,
  created_at timestamptz not null default now(),
  primary key (tenant_id, surrogate),
  constraint uq_entry_tenant_id_kind_blind_index unique (tenant_id, kind, blind_index));
create table vault.opening (
  number bigint generated always as identity primary key,
  tenant_id uuid not null,
  surrogate uuid not null,
  opened_by varchar(200) not null,
  purpose varchar(64) not null,
  at timestamptz not null default now());

create schema ingest;
create table ingest.inbox (
  tenant_id uuid not null,
  event_id uuid not null,
  source varchar(200) not null,
  external_id varchar(200) not null,
  version integer not null,
  body_hash bytea not null,
  record_id uuid not null,
  client_id uuid not null,
  episode_id uuid not null,
  type varchar(40) not null,
  occurred_at timestamptz not null,
  received_at timestamptz not null,
  value bytea not null,
  primary key (tenant_id, event_id),
  constraint uq_inbox_tenant_id_source_external_id_version unique (tenant_id, source, external_id, version));
create index ix_inbox_client on ingest.inbox (tenant_id, client_id, received_at);
create table ingest.episode (
  tenant_id uuid not null,
  episode_id uuid not null,
  client_id uuid not null,
  reference uuid,
  implicit boolean not null,
  opened_at timestamptz,
  closed_at timestamptz,
  facts integer not null default 0,
  primary key (tenant_id, episode_id),
  constraint uq_episode_tenant_id_client_id_reference unique (tenant_id, client_id, reference));
create unique index ix_episode_implicit on ingest.episode (tenant_id, client_id) where implicit;
create table ingest.outbox (
  number bigint generated always as identity primary key,
  tenant_id uuid not null,
  event_id uuid not null,
  lane smallint not null,
  topic varchar(100) not null,
  key bytea not null,
  value bytea not null,
  headers bytea not null,
  created_at timestamptz not null);
create index ix_outbox_turn on ingest.outbox (lane, tenant_id, number);
create table ingest.publication (
  tenant_id uuid not null,
  event_id uuid not null,
  published_at timestamptz not null,
  primary key (tenant_id, event_id));
create table ingest.outcome (
  tenant_id uuid not null,
  event_id uuid not null,
  outcome varchar(16) not null,
  at timestamptz not null,
  primary key (tenant_id, event_id))
"""

TABLES = (
    "access.tenant",
    "access.api_key",
    "vault.entry",
    "vault.opening",
    "ingest.inbox",
    "ingest.episode",
    "ingest.outbox",
    "ingest.publication",
    "ingest.outcome",
)


def upgrade() -> None:
    policies.create_roles()
    for statement in STATEMENTS.split(";\n"):
        op.execute(statement)
    for table in TABLES:
        secure(table)
    _rights()
    _wider_policies()


def _rights() -> None:
    for schema in ("access", "vault"):
        op.execute(f"grant usage on schema {schema} to attune_ingest, attune_alerts, attune_operator")
    op.execute("grant usage on schema ingest to attune_ingest, attune_relay, attune_operator")
    grant("select", "access.tenant", "attune_ingest", "attune_alerts", "attune_operator")
    grant("select", "access.api_key", "attune_ingest", "attune_alerts", "attune_operator")
    grant("insert, update", "access.tenant", "attune_operator")
    grant("insert, update", "access.api_key", "attune_operator")
    grant("select, insert", "vault.entry", "attune_ingest", "attune_alerts")
    grant("select", "vault.entry", "attune_operator")
    grant("insert", "vault.opening", "attune_ingest", "attune_alerts", "attune_operator")
    grant("select, insert", "ingest.inbox", "attune_ingest")
    grant("select, insert, update", "ingest.episode", "attune_ingest")
    grant("select, insert", "ingest.outbox", "attune_ingest")
    grant("select, delete", "ingest.outbox", "attune_relay")
    grant("select", "ingest.publication", "attune_ingest")
    grant("select, insert", "ingest.publication", "attune_relay")
    grant("select, insert, update", "ingest.outcome", "attune_ingest")
    for table in ("ingest.inbox", "ingest.episode", "ingest.outbox", "ingest.publication", "ingest.outcome"):
        grant("select", table, "attune_operator")


def _wider_policies() -> None:
    """Work that crosses tenants, each role by name."""
    # A key is looked up before its tenant is known: the row with the presented prefix, and no other.
    for role in ("attune_ingest", "attune_alerts"):
        allow("access.api_key", role, command="select", using="prefix = current_setting('app.key_prefix', true)")
    # The relay carries everybody's rows, and sees nothing but the outbox.
    for command in ("select", "delete"):
        allow("ingest.outbox", "attune_relay", command=command, using="true")
    allow("ingest.publication", "attune_relay", command="select", using="true")
    allow("ingest.publication", "attune_relay", command="insert", using="true")
    # The receipts' tail writes what became of everybody's facts, batch by batch, under the tenants of the batch.
    # Operators list tenants and count rows; alerts' sweep and the development login ask which tenants there are.
    for role in ("attune_operator", "attune_alerts"):
        allow("access.tenant", role, command="select", using="true")
    for table in ("access.api_key", "ingest.inbox", "ingest.outbox", "ingest.publication", "ingest.outcome"):
        allow(table, "attune_operator", command="select", using="true")


def downgrade() -> None:
    for schema in ("ingest", "vault", "access"):
        op.execute(f"drop schema {schema} cascade")
