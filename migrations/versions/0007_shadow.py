"""A candidate policy beside the live one: which clinic tries which, and what it would have said.

Only adds: the code of 0006 works on it unchanged.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

from alembic import op

from migrations.policies import grant, secure

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

SIGNALS = "alerts.shadow_signal"
CREATE = """
create table alerts.shadow_signal (
  tenant_id uuid not null,
  rating_id uuid not null,
  policy varchar(64) not null,
  episode_id uuid not null,
  occurred_at timestamptz,
  live_policy varchar(64) not null,
  live_rule varchar(64),
  shadow_rule varchar(64),
  engine integer not null,
  facts integer not null,
  primary key (tenant_id, policy, rating_id))
"""


def upgrade() -> None:
    op.execute(CREATE)
    op.execute("alter table alerts.tenant_clock add column shadow varchar(64), add column shadow_since timestamptz")
    secure(SIGNALS)
    # Alerts notes what the candidate would have said; nobody else writes it, and only the operator compares.
    grant("select, insert, update", SIGNALS, "attune_alerts")
    grant("select, delete", SIGNALS, "attune_operator")
    # A tenant's candidate is the operator's to set and to clear, before its first event too.
    grant("insert, update", "alerts.tenant_clock", "attune_operator")


def downgrade() -> None:
    op.execute("alter table alerts.tenant_clock drop column shadow, drop column shadow_since")
    op.execute(f"drop table {SIGNALS}")
