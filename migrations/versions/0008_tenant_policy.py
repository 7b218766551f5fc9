"""A policy of the clinic's own: what was asked for, by whom and when, and what is in force. Append-only.

Only adds: the code of 0007 works on it unchanged, under the installation's policy.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

from alembic import op

from migrations.policies import allow, grant, secure

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

POLICIES = "alerts.tenant_policy"
CREATE = """
create table alerts.tenant_policy (
  tenant_id uuid not null,
  version integer not null,
  policy varchar(64),
  definition jsonb,
  set_at timestamptz not null,
  set_by varchar(200) not null,
  primary key (tenant_id, version))
"""


def upgrade() -> None:
    op.execute(CREATE)
    op.execute("""
        alter table alerts.tenant_clock add column policy_asked integer, add column policy_version integer,
          add column policy_since timestamptz
    """)
    secure(POLICIES)
    # The operator says which policy; nobody can change or remove what was said.
    grant("select, insert", POLICIES, "attune_operator")
    grant("select", POLICIES, "attune_alerts")
    # As with clocks: the sweep goes from clinic to clinic.
    allow(POLICIES, "attune_alerts", command="select", using="true")


def downgrade() -> None:
    op.execute("""
        alter table alerts.tenant_clock drop column policy_asked, drop column policy_version, drop column policy_since
    """)
    op.execute(f"drop table {POLICIES}")
