"""Recovery: how far the receipts' tail read, what was cut off the logs, the reconciler's watermark, replays.

Only adds: the code of 0002 works on it unchanged.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

from alembic import op

from migrations.policies import allow, grant, secure

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATEMENTS = """
create table ingest.tail_offset (
  topic varchar(200) not null,
  partition integer not null,
  next_offset bigint not null,
  last_offset bigint not null,
  digest bytea not null,
  last_at timestamptz,
  primary key (topic, partition));
create table ingest.log_cut (
  number bigint generated always as identity primary key,
  topic varchar(200) not null,
  partition integer not null,
  since timestamptz not null,
  seen_at timestamptz not null default now());
create table ingest.reconciliation (
  name varchar(32) primary key,
  watermark timestamptz not null);
create table ingest.replay (
  replay_id uuid primary key,
  scope varchar(100) not null,
  at_tenant uuid,
  at_client uuid,
  at_received timestamptz,
  at_event uuid,
  done bigint not null default 0,
  total bigint not null,
  started_at timestamptz not null default now(),
  finished_at timestamptz);
create unique index uq_replay_running on ingest.replay (scope) where finished_at is null;
create index ix_publication_published_at on ingest.publication (published_at);
create index ix_outcome_at on ingest.outcome using brin (at);
alter table alerts.consumer_offset add column last_at timestamptz
"""

TABLES = ("ingest.tail_offset", "ingest.log_cut", "ingest.reconciliation", "ingest.replay")


def upgrade() -> None:
    for statement in STATEMENTS.split(";\n"):
        op.execute(statement)
    for table in TABLES:
        secure(table, by_tenant=False)
    _tail()
    _reconciler()
    _operator()


def _tail() -> None:
    # Offsets belong to partitions, which hold everybody's records; what a cut means for facts is the reconciler's.
    grant("select, insert, update", "ingest.tail_offset", "attune_ingest")
    allow("ingest.tail_offset", "attune_ingest", command="all", using="true")
    grant("insert", "ingest.log_cut", "attune_ingest")
    allow("ingest.log_cut", "attune_ingest", command="insert", using="true")


def _reconciler() -> None:
    """It works in the relay's process, for every clinic: what was published, was it answered?"""
    # It reads how far the tail came, the facts and their outcomes, and takes back outcomes that a cut log swallowed.
    for table in ("ingest.tail_offset", "ingest.inbox", "ingest.outcome"):
        grant("select", table, "attune_relay")
        allow(table, "attune_relay", command="select", using="true")
    grant("delete", "ingest.outcome", "attune_relay")
    allow("ingest.outcome", "attune_relay", command="delete", using="true")
    # What is missing goes into the outbox again, and its publication is noted anew.
    grant("insert", "ingest.outbox", "attune_relay")
    allow("ingest.outbox", "attune_relay", command="insert", using="true")
    grant("update", "ingest.publication", "attune_relay")
    allow("ingest.publication", "attune_relay", command="update", using="true")
    grant("select, delete", "ingest.log_cut", "attune_relay")
    grant("select, insert, update", "ingest.reconciliation", "attune_relay")
    for table in ("ingest.log_cut", "ingest.reconciliation"):
        allow(table, "attune_relay", command="all", using="true")


def _operator() -> None:
    """`attune replay` and `attune verify`."""
    # Facts are put into the outbox as they were accepted; the operator can neither change nor remove any.
    grant("insert", "ingest.outbox", "attune_operator")
    allow("ingest.outbox", "attune_operator", command="insert", using="true")
    grant("select, insert, update", "ingest.replay", "attune_operator")
    allow("ingest.replay", "attune_operator", command="all", using="true")
    grant("select", "ingest.tail_offset", "attune_operator")
    allow("ingest.tail_offset", "attune_operator", command="select", using="true")
    # A replay of everything lets alerts go on where a topic was recreated: it forgets how far the lost one was read.
    grant("select, delete", "alerts.consumer_offset", "attune_operator")
    allow("alerts.consumer_offset", "attune_operator", command="all", using="true")
    # What people did to alerts decides which should stand; who did it and why is not asked.
    op.execute("grant select (tenant_id, alert_id, action, at) on alerts.step to attune_operator")
    allow("alerts.step", "attune_operator", command="select", using="true")


POLICIES = (
    ("attune_relay_select", "ingest.inbox"),
    ("attune_relay_select", "ingest.outcome"),
    ("attune_relay_delete", "ingest.outcome"),
    ("attune_relay_insert", "ingest.outbox"),
    ("attune_relay_update", "ingest.publication"),
    ("attune_operator_insert", "ingest.outbox"),
    ("attune_operator_all", "alerts.consumer_offset"),
    ("attune_operator_select", "alerts.step"),
)
RIGHTS = (
    ("select", "ingest.inbox", "attune_relay"),
    ("select, delete", "ingest.outcome", "attune_relay"),
    ("insert", "ingest.outbox", "attune_relay, attune_operator"),
    ("update", "ingest.publication", "attune_relay"),
    ("select, delete", "alerts.consumer_offset", "attune_operator"),
    ("select (tenant_id, alert_id, action, at)", "alerts.step", "attune_operator"),
)


def downgrade() -> None:
    for name, table in POLICIES:
        op.execute(f"drop policy {name} on {table}")
    for rights, table, roles in RIGHTS:
        op.execute(f"revoke {rights} on {table} from {roles}")
    op.execute("alter table alerts.consumer_offset drop column last_at")
    op.execute("drop index ingest.ix_outcome_at")
    op.execute("drop index ingest.ix_publication_published_at")
    for table in TABLES:
        op.execute(f"drop table {table}")
