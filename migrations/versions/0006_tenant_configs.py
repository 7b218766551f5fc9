"""Parameters fitted to a clinic, every version for ever: what episodes are pinned to outlives Kafka.

Only adds: the code of 0005 works on it unchanged.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

from alembic import op

from migrations.policies import allow, grant, secure

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLE = "ingest.tenant_config"
CREATE = """
create table ingest.tenant_config (
  tenant_id uuid not null,
  version integer not null,
  body bytea not null,
  in_force_from timestamptz not null,
  created_at timestamptz not null default now(),
  primary key (tenant_id, version))
"""


def upgrade() -> None:
    op.execute(CREATE)
    secure(TABLE)
    # The operator publishes for one tenant at a time and replays everybody's; nobody changes or removes a version.
    grant("select, insert", TABLE, "attune_operator")
    allow(TABLE, "attune_operator", command="select", using="true")


def downgrade() -> None:
    op.execute("drop table ingest.tenant_config")
