"""Merged clients: which were found to be one, whose posts go where, and whether that was taken back.

Only adds: the code of 0009 works on it unchanged, as long as nobody posts a merge.

Revision ID: 0010
Revises: 0009
"""

from __future__ import annotations

from alembic import op

from migrations.policies import allow, grant, secure

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

STATEMENTS = """
create table ingest.merge (
  tenant_id uuid not null,
  merge_id uuid not null,
  record_id uuid not null,
  loser_id uuid not null,
  survivor_id uuid not null,
  losers uuid[] not null,
  merged_at timestamptz not null,
  undone_at timestamptz,
  primary key (tenant_id, merge_id));
create unique index uq_merge_loser on ingest.merge (tenant_id, loser_id) where undone_at is null;
create index ix_merge_survivor on ingest.merge (tenant_id, survivor_id);
alter table ingest.episode add column merged_into uuid;
alter table ingest.episode add column absorbs boolean not null default false
"""


def upgrade() -> None:
    for statement in STATEMENTS.split(";\n"):
        op.execute(statement)
    secure("ingest.merge")
    grant("select, insert, update", "ingest.merge", "attune_ingest")
    grant("select", "ingest.merge", "attune_operator")
    allow("ingest.merge", "attune_operator", command="select", using="true")


def downgrade() -> None:
    op.execute("alter table ingest.episode drop column absorbs")
    op.execute("alter table ingest.episode drop column merged_into")
    op.execute("drop table ingest.merge")
