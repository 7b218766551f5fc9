"""Clinics' fitted parameters: kept for ever, published with the transaction that keeps them, and again at a replay."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid5

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas import codec
from schemas.events import TenantConfig
from schemas.topics import TENANT_CONFIGS
from services.ingest.models import OUTBOX
from services.platform.outbox import Lane, Outgoing, append

IN_FORCE_AFTER: Final = timedelta(seconds=60)
"""So that every worker has read a version before any episode is worked out with it."""
_TURN = text("select from access.tenant where tenant_id = :tenant for update")
_LATEST = text("select max(version), max(in_force_from) from ingest.tenant_config where tenant_id = :tenant")
_RECEIVED = text("select max(received_at) from ingest.inbox where tenant_id = :tenant")
_KEEP = text("""
    insert into ingest.tenant_config (tenant_id, version, body, in_force_from)
    values (:tenant, :version, :body, :in_force_from)
""")
_ALL = text("""
    select body from ingest.tenant_config where :everybody or tenant_id = any(:tenants)
    order by tenant_id, version
""")
_WAITING = text(f"select exists (select from {OUTBOX} where topic = :topic)")  # noqa: S608 - ours


async def publish(connection: AsyncConnection, wanted: TenantConfig, now: datetime) -> TenantConfig:
    """Keep and publish parameters as the next version of their clinic; its `version` and `in_force_from` are ours.

    In force a minute from now: by our clock, and by the clock of whatever was received of this clinic already (another
    machine's, or the feed's own), so that no fact we know was recorded since.
    """
    about = {"tenant": wanted.tenant_id}
    await connection.execute(_TURN, about)
    version, in_force_from = (await connection.execute(_LATEST, about)).one()
    received = (await connection.execute(_RECEIVED, about)).scalar()
    soonest = max(filter(None, (now, received))) + IN_FORCE_AFTER
    config = wanted.model_copy(
        update={"version": (version or 0) + 1, "in_force_from": max(filter(None, (soonest, in_force_from)))}
    )
    row = _outgoing(config)
    kept = {"version": config.version, "body": row.record.value, "in_force_from": config.in_force_from}
    await connection.execute(_KEEP, about | kept)
    await append(connection, OUTBOX, [row])
    return config


async def known(connection: AsyncConnection, tenants: Collection[UUID] | None = None) -> list[TenantConfig]:
    """Every version of some tenants, or of all; ascending."""
    asked = {"everybody": tenants is None, "tenants": list(tenants or ())}
    return [codec.decode(TENANT_CONFIGS, body) for body in (await connection.execute(_ALL, asked)).scalars()]


async def publish_again(connection: AsyncConnection, tenants: Collection[UUID] | None = None) -> int:
    """Put every version of some tenants, or of all, into the outbox once more; how many there are."""
    rows = [_outgoing(config) for config in await known(connection, tenants)]
    await append(connection, OUTBOX, rows)
    return len(rows)


async def are_waiting(connection: AsyncConnection) -> bool:
    """Whether the relay has some left to carry."""
    return bool((await connection.execute(_WAITING, {"topic": TENANT_CONFIGS.name})).scalar())


def _outgoing(config: TenantConfig) -> Outgoing:
    """First in line: facts that follow may be worked out with it."""
    named = uuid5(config.tenant_id, f"tenant.config|{config.version}")
    return Outgoing(config.tenant_id, named, Lane.RISK, TENANT_CONFIGS.name, codec.encode_config(config))
