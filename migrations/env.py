"""How alembic reaches the database: our async engine, one transaction per migration."""

from __future__ import annotations

from alembic import context
from sqlalchemy.engine import Connection

from services.alerts import models as alerts_models
from services.ingest import models as ingest_models
from services.platform.db import Base

TABLES = (alerts_models, ingest_models)
"""Imported so that `Base.metadata` knows every table."""


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        include_schemas=True,
        transaction_per_migration=True,
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run(context.config.attributes["connection"])
