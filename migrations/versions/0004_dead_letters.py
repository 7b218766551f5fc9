"""Dead letters as rows, so that somebody can look at each, send it again or drop it.

Only adds: the code of 0003 works on it unchanged.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

from alembic import op

from migrations.policies import allow, grant, secure

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLE = "ingest.dead_letter"
TOLD = "dead_letter_id, tenant_id, fact_id, code, state, seen_at, decided_at"
CREATE = """
create table ingest.dead_letter (
  dead_letter_id uuid primary key,
  tenant_id uuid,
  fact_id uuid,
  topic varchar(100) not null,
  partition integer not null,
  record_offset bigint not null,
  code varchar(40) not null,
  reason varchar(200) not null,
  attempt integer not null,
  key bytea not null,
  value bytea,
  headers bytea not null,
  seen_at timestamptz not null,
  state varchar(8) not null default 'open',
  decided_at timestamptz,
  why varchar(200))
"""


def upgrade() -> None:
    op.execute(CREATE)
    op.execute("create index ix_dead_letter_state on ingest.dead_letter (state, seen_at)")
    op.execute("create index ix_dead_letter_fact on ingest.dead_letter (fact_id)")
    # A record whose key cannot be read is nobody's: rows are not by tenant, and only two roles see them at all.
    secure(TABLE, by_tenant=False)
    # Who keeps letters counts them, decides where a later one settles it, forgets them, and reads none.
    grant(f"insert, delete, select ({TOLD}), update (state, seen_at, decided_at, why)", TABLE, "attune_ingest")
    allow(TABLE, "attune_ingest", command="all", using="true")
    grant("select, update", TABLE, "attune_operator")
    allow(TABLE, "attune_operator", command="all", using="true")
    # Dropping a fact is a fact: the operator adds it to its tenant's inbox, so that a replay repeats it.
    grant("insert", "ingest.inbox", "attune_operator")


def downgrade() -> None:
    op.execute("revoke insert on ingest.inbox from attune_operator")
    op.execute("drop table ingest.dead_letter")
