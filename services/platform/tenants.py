"""Tenants: who they are and what they set. Schema `access`, shared by every door."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ForeignKeyConstraint, LargeBinary, String, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from services.platform.db import Base, tenants_setting
from services.platform.errors import Refused

HISTORICAL_AFTER_DAYS = 14


class Tenant(Base):
    __tablename__ = "tenant"
    __table_args__ = ({"schema": "access"},)

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    display_name: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    settings: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))


class ApiKey(Base):
    __tablename__ = "api_key"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id"], ["access.tenant.tenant_id"]),
        {"schema": "access"},
    )

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    prefix: Mapped[str] = mapped_column(String(8), primary_key=True, unique=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(String(32)))
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


_SEE = text("select set_config('app.tenants', :tenants, true)")
_CREATE = text("""
    insert into access.tenant (tenant_id, name, display_name) values (:tenant, :name, :display_name)
    on conflict (name) do nothing
""")
_NAME = re.compile(r"^[a-z][a-z0-9-]{1,62}$")


async def create(connection: AsyncConnection, name: str, display_name: str = "") -> UUID:
    """Create a tenant, in a transaction of its own.

    Raises:
        Refused: the name is taken, or is not a short name.
    """
    if not _NAME.match(name):
        raise Refused("a tenant's name has 2 to 63 of a-z, 0-9 and -", hint="for example: north-clinic")
    tenant = uuid4()
    await connection.execute(_SEE, {"tenants": tenants_setting([tenant])})
    values = {"tenant": tenant, "name": name, "display_name": display_name or name}
    if (await connection.execute(_CREATE, values)).rowcount == 0:
        raise Refused(f"a tenant named {name} exists", hint="attune tenants list")
    return tenant
