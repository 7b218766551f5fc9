"""Where scoring's changelog was seen to end: one that ends earlier was lost, and the relay publishes everything again.

Only adds: the code of 0008 works on it unchanged.

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

from alembic import op

from migrations.policies import allow, grant, secure

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ENDS = "ingest.changelog_end"
CREATE = """
create table ingest.changelog_end (
  topic varchar(200) not null,
  partition integer not null,
  next_offset bigint not null,
  primary key (topic, partition))
"""


def upgrade() -> None:
    op.execute(CREATE)
    secure(ENDS, by_tenant=False)
    # Offsets belong to partitions, which hold everybody's states.
    grant("select, insert, update", ENDS, "attune_relay")
    allow(ENDS, "attune_relay", command="all", using="true")
    # It begins a replay of its own, and notes how far it came.
    grant("select, insert, update", "ingest.replay", "attune_relay")
    allow("ingest.replay", "attune_relay", command="all", using="true")


def downgrade() -> None:
    op.execute("drop policy attune_relay_all on ingest.replay")
    op.execute("revoke select, insert, update on ingest.replay from attune_relay")
    op.execute(f"drop table {ENDS}")
