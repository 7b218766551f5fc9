"""Deadlines that passed become decisions: nothing ticks in the cores, so somebody has to look at the clock.

Rows are taken with `skip locked`, decided anew in the same transaction, and given their next deadline; killed in
between, the row is still due. The sweep waits while the consumer lags (the answer may be on its way), and for a clinic
of which nothing at all was heard for days: then its feed is broken, which is for operations, not for clinicians.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncEngine

from services.alerts.adapters import policies
from services.alerts.adapters import statements as sql
from services.alerts.adapters.batch import FALLBACK_CLIENTS, sizes
from services.alerts.adapters.decisions import ClinicNow, Decisions
from services.alerts.adapters.mirror import EpisodeSnapshot
from services.alerts.consumer import Consumer
from services.alerts.metrics import AlertsMetrics
from services.alerts.settings import AlertsSettings
from services.alerts.switch import Switch
from services.platform import logs
from services.platform.clock import Clock
from services.platform.db import is_transient, transaction

MOST = 100
"""Rows of one clinic in one transaction: its clock is held meanwhile, and what is new of it waits."""


@dataclass(slots=True)
class Sweep:
    """Looks at due deadlines, clinic by clinic."""

    settings: AlertsSettings
    engine: AsyncEngine
    decisions: Decisions
    consumer: Consumer
    clock: Clock
    metrics: AlertsMetrics

    async def run(self) -> None:
        """For ever. A policy that was asked for waits for no lag: it says how to decide, not what is late."""
        switch = Switch(self.engine, self.decisions, self.clock)
        while True:
            await asyncio.sleep(self.settings.alerts_sweep_seconds)
            try:
                await switch.once()
                if self.consumer.caught_up:
                    await self.once()
            except Exception as error:
                if not is_transient(error):
                    raise
                logs.get("alerts.sweep").warning("sweep failed, trying again", reason=type(error).__name__)

    async def once(self) -> int:
        """Look at every clinic; returns how many episodes were due."""
        async with transaction(self.engine) as connection:
            clocks = (await connection.execute(sql.ALL_CLOCKS)).all()
        silent = {row.tenant_id for row in clocks if self._feed_is_silent(row)}
        self.metrics.silent_feeds.set(len(silent))
        swept = 0
        for row in clocks:
            if row.tenant_id not in silent and not self._feed_is_running(row):
                swept += await self._alone(row)
        self.metrics.swept.inc(swept)
        return swept

    async def _alone(self, row: Row[Any]) -> int:
        """One clinic; what cannot be decided there does not keep the others' deadlines waiting."""
        try:
            return await self._clinic(row)
        except Exception as error:
            if is_transient(error):
                raise
            self.metrics.sweep_failures.inc()
            logs.get("alerts.sweep").error("a clinic's deadlines cannot be decided", exc_info=error)
            return 0

    def _feed_is_silent(self, row: Row[Any]) -> bool:
        patience = timedelta(hours=self.settings.alerts_feed_silent_hours)
        return row.known_at is None and self.clock.now() - row.heard_at > patience

    def _feed_is_running(self, row: Row[Any]) -> bool:
        """A year played in a minute: what is known of one client is weeks ahead of what is known of another."""
        quiet = timedelta(seconds=self.settings.alerts_feed_quiet_seconds)
        return row.known_at is not None and self.clock.now() - row.heard_at < quiet

    async def _clinic(self, row: Row[Any]) -> int:
        swept = 0
        while True:
            found = await self._some(row.tenant_id, row.known_at or self.clock.now(), grown=row.grown)
            swept += found
            if found < MOST:
                return swept

    async def _some(self, tenant: UUID, now: datetime, *, grown: bool) -> int:
        async with transaction(self.engine, [tenant]) as connection:
            clock = (await connection.execute(sql.SWEPT, {"tenant": tenant, "now": now})).all()
            due = {"tenant": tenant, "now": now, "most": MOST}
            episodes = list((await connection.execute(sql.DUE, due)).scalars())
            if not episodes:
                return 0
            size = FALLBACK_CLIENTS if grown else (await sizes(connection, [tenant]))[tenant]
            own = await policies.in_force(connection, clock, self.decisions.policy)
            clinic = ClinicNow(now, now, size, live=own.get(tenant))
            seen = await self.decisions.redecide(connection, {tenant: clinic}, episodes)
            times = {each.snapshot.episode_id: next_deadline(each.snapshot, now) for each in seen}
            values = {"tenant": tenant, "episodes": list(times), "due": list(times.values())}
            await connection.execute(sql.NEXT_DUE, values)
            return len(episodes)


def next_deadline(snapshot: EpisodeSnapshot, now: datetime) -> datetime | None:
    """The first deadline still ahead."""
    deadlines = (snapshot.silent_amber_at, snapshot.silent_red_at)
    ahead = [at for at in deadlines if at is not None and at > now]
    return min(ahead) if ahead and snapshot.status == "open" else None
