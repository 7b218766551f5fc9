"""Receipts: what became of a fact, by Attune's own id."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.platform.db import transaction

Outcome = Literal["scored", "no-reading", "dead-lettered"]


class Receipt(BaseModel):
    """`received` is committed; `published` acknowledged by Kafka; `outcome` what scoring made of it."""

    id: UUID
    received: datetime
    published: datetime | None = None
    outcome: Outcome | None = Field(default=None, description="`no-reading`: taken in, nothing to score")
    outcome_at: datetime | None = None


_RECEIPT = text("""
    select i.event_id as id, i.received_at as received, p.published_at as published, o.at as outcome_at,
           case when o.outcome = 'scored' and i.type not in ('rating.submitted', 'rating.amended')
                then 'no-reading' else o.outcome end as outcome
    from ingest.inbox i
    left join ingest.publication p using (tenant_id, event_id)
    left join ingest.outcome o using (tenant_id, event_id)
    where i.tenant_id = :tenant and i.event_id = :id
""")


async def find(engine: AsyncEngine, tenant: UUID, fact_id: UUID) -> Receipt | None:
    """The receipt of a fact of this tenant; another's is not found."""
    async with transaction(engine, [tenant]) as connection:
        row = (await connection.execute(_RECEIPT, {"tenant": tenant, "id": fact_id})).mappings().one_or_none()
    return None if row is None else Receipt.model_validate(dict(row))
