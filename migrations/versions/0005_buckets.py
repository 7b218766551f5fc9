"""Outboxes in buckets of keys, so that several relays work at once.

The bucket is generated: the code of 0004 appends without knowing of it, and its relay reads on (sorting, where it had
an index for its order). Adding the column rewrites the table under a lock: short, for an outbox is nearly empty.

A table that is mostly deleted from is vacuumed by count and not by share, or its dead rows make every look slower.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

OUTBOXES = (
    ("ingest", "ix_outbox_turn", "ix_outbox_bucket"),
    ("alerts", "ix_alerts_outbox_turn", "ix_alerts_outbox_bucket"),
)
VACUUM = {
    "autovacuum_vacuum_scale_factor": "0",
    "autovacuum_vacuum_threshold": "5000",
    "autovacuum_vacuum_insert_scale_factor": "0",
    "autovacuum_vacuum_insert_threshold": "100000",
    "autovacuum_analyze_scale_factor": "0",
    "autovacuum_analyze_threshold": "100000",
    "autovacuum_vacuum_cost_delay": "0",
    "toast.autovacuum_vacuum_scale_factor": "0",
    "toast.autovacuum_vacuum_threshold": "5000",
    "toast.autovacuum_vacuum_cost_delay": "0",
}


def upgrade() -> None:
    settings = ", ".join(f"{name} = {value}" for name, value in VACUUM.items())
    for schema, old, new in OUTBOXES:
        op.execute(
            f"alter table {schema}.outbox add column bucket smallint not null"
            " generated always as ((get_byte(sha256(key), 0) % 16)::smallint) stored"
        )
        op.execute(f"create index {new} on {schema}.outbox (lane, bucket, tenant_id, number)")
        op.execute(f"drop index {schema}.{old}")
        op.execute(f"alter table {schema}.outbox set ({settings})")


def downgrade() -> None:
    names = ", ".join(VACUUM)
    for schema, old, _ in OUTBOXES:
        op.execute(f"alter table {schema}.outbox reset ({names})")
        op.execute(f"create index {old} on {schema}.outbox (lane, tenant_id, number)")
        op.execute(f"alter table {schema}.outbox drop column bucket")
