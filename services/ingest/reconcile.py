"""The reconciler: publishes again what Kafka acknowledged and nothing ever answered.

Kafka acknowledges before it writes to disk: a power cut may swallow its last seconds, facts or answers. A fact is taken
for unanswered only when everything that was in Kafka with it is answered (`services.ingest.answered`), never because
it takes long: while scoring is down or lags, nothing is published again.

Every publication is looked at once; one that is published again is noted anew, and so looked at again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.ingest.answered import until_answered
from services.ingest.metrics import RelayMetrics
from services.ingest.models import OUTBOX
from services.ingest.replay import EARLIER, again, room
from services.ingest.settings import RelaySettings
from services.platform import logs
from services.platform.db import transaction
from services.platform.forever import forever
from services.platform.outbox import append

BATCH = 2_000
# A relay that froze in mid-commit may still bring older publications to light: what its connection has begun bounds us.
_HORIZON = text("""
    select least(now() - make_interval(secs => :age), (
      select min(xact_start) from pg_stat_activity
      where usename = current_user and datname = current_database() and pid <> pg_backend_pid()))
""")
_BEGIN = text("""
    insert into ingest.reconciliation (name, watermark) values ('publications', 'epoch') on conflict do nothing
""")
_WATERMARK = text("select watermark from ingest.reconciliation where name = 'publications' for update")
_MOVE = text("update ingest.reconciliation set watermark = greatest(watermark, :to) where name = 'publications'")
_CUTS = text("with cuts as (delete from ingest.log_cut returning since) select min(since) from cuts")
_TAKE_BACK = text("""
    with gone as (delete from ingest.outcome where at >= :since returning tenant_id, event_id)
    update ingest.publication p set published_at = clock_timestamp() from gone
    where p.tenant_id = gone.tenant_id and p.event_id = gone.event_id
""")
_UNANSWERED = text(f"""
    select p.published_at, i.value, {EARLIER} from ingest.publication p
    join ingest.inbox i using (tenant_id, event_id)
    where p.published_at > :after and p.published_at <= :to
      and not exists (select from ingest.outcome o where o.tenant_id = p.tenant_id and o.event_id = p.event_id)
    order by p.published_at fetch first :batch rows with ties
""")  # noqa: S608 - `EARLIER` is a constant of ours


@dataclass(slots=True)
class Reconciler:
    """Looks, every so often, at what was published since it looked last."""

    settings: RelaySettings
    engine: AsyncEngine
    metrics: RelayMetrics

    async def run(self) -> None:
        """For ever, through every absence of Kafka and PostgreSQL."""
        await forever("relay.reconciler", self.turn, pause=self.settings.reconcile_seconds)

    async def turn(self) -> int:
        """Look once; how many facts were published again."""
        await self._take_back()
        async with transaction(self.engine) as connection:
            values = {"age": self.settings.reconcile_age_seconds}
            horizon = (await connection.execute(_HORIZON, values)).scalar_one()
        await until_answered(self.settings, self.engine)
        count = 0
        while found := await self._batch(horizon):
            count += found
        return count

    async def _take_back(self) -> None:
        """What a cut log held of answers is unanswered again, and is looked at like anything published now."""
        async with transaction(self.engine) as connection:
            since = (await connection.execute(_CUTS)).scalar_one()
            if since is None:
                return
            count = (await connection.execute(_TAKE_BACK, {"since": since})).rowcount
        logs.get("relay.reconciler").warning("answers were lost with the end of a log", count=count)

    async def _batch(self, horizon: datetime) -> int:
        """Publish some again, and note how far was looked, in one transaction; two reconcilers take turns."""
        await room(self.engine)
        async with transaction(self.engine) as connection:
            await connection.execute(_BEGIN)
            watermark = (await connection.execute(_WATERMARK)).scalar_one()
            rows = await _unanswered(connection, watermark, horizon)
            await append(connection, OUTBOX, [row for each in rows for row in again(each.value, each.earlier)])
            to = rows[-1].published_at if len(rows) >= BATCH else horizon
            await connection.execute(_MOVE, {"to": to})
        if rows:
            self.metrics.republished.inc(len(rows))
            logs.get("relay.reconciler").warning("published again: nothing had answered them", count=len(rows))
        return len(rows)


async def _unanswered(connection: AsyncConnection, watermark: datetime, horizon: datetime) -> Sequence[Row[Any]]:
    values = {"after": watermark, "to": horizon, "batch": BATCH}
    return (await connection.execute(_UNANSWERED, values)).all()
