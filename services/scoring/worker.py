"""A scoring worker as a process: the app, its probes, and a watch that ends it when it no longer moves."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable
from time import monotonic
from typing import cast

from aiokafka.errors import KafkaError
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.types import TP

from schemas.topics import SESSION_EVENTS
from services.platform import health, kafka, logs
from services.platform.errors import AttuneError, Unavailable
from services.scoring.app import ScoringApp, build_app
from services.scoring.lanes import Lane
from services.scoring.settings import ScoringSettings
from services.scoring.transport import ListConsumer

WATCH_SECONDS = 0.25
EXIT_STUCK = 3


class Stalled(AttuneError):
    """Records wait and nothing moves."""


class Watch:
    """What probes and the process itself want to know of a running app."""

    def __init__(self, app: ScoringApp, settings: ScoringSettings) -> None:
        self._app = app
        self._settings = settings
        self._source = settings.topic(SESSION_EVENTS.name)
        self._recovering_since: float | None = None

    async def ready(self) -> None:
        """Clinics' parameters read, assigned, recovered, producers up.

        Raises:
            Unavailable: not (yet).
        """
        if not self._app.follower.has_read.is_set():
            raise Unavailable("the clinics' fitted parameters are being read")
        if not self._recovery.completed.is_set() or self._app.rebalancing:
            raise Unavailable("the table is being recovered or partitions are being assigned")
        self.alive()

    @property
    def _recovery(self) -> Recovery:
        return cast("TableManager", self._app.tables).recovery

    def alive(self) -> None:
        """Raise whatever should end this process: a lane that failed, an app that crashed, a standstill."""
        if self._app.lanes.failure is not None:
            raise _told(self._app.lanes.failure)
        if self._app.crashed:
            raise _told(self._app.crash_reason)
        cast("ListConsumer", self._app.consumer).check()
        if stalled := self._app.lanes.stalled(self._settings.scoring_stalled_seconds):
            raise Stalled(f"nothing moves on partitions {stalled} while records wait", hint="this worker restarts")
        if self._recovering_for() > self._settings.scoring_recovery_seconds:
            raise Stalled("the table's recovery does not end", hint="this worker restarts; is Kafka well?")

    def measure(self) -> None:
        """Set the gauges that change by themselves."""
        metrics = self._app.metrics
        metrics.episodes.set(len(self._app.episodes.data))
        self._time_recovery()
        metrics.lag_records.clear()  # partitions that went to another worker are told by that one
        metrics.lag_seconds.clear()
        for partition, lane in self._app.lanes.open():
            metrics.lag_records.labels(partition).set(self._behind(lane))
            metrics.lag_seconds.labels(partition).set(lane.waited(monotonic()))

    def _behind(self, lane: Lane) -> int:
        source = TP(self._source, lane.partition)
        if lane.settled is None or source not in self._app.consumer.assignment():
            return len(lane.backlog)
        return max(0, (self._app.consumer.highwater(source) or 0) - lane.settled)

    def _recovering_for(self) -> float:
        return 0.0 if self._recovering_since is None else monotonic() - self._recovering_since

    def _time_recovery(self) -> None:
        recovering = self._app.rebalancing or self._recovery.in_recovery
        if recovering and self._recovering_since is None:
            self._recovering_since = monotonic()
        elif not recovering and self._recovering_since is not None:
            self._app.metrics.recovery_seconds.set(self._recovering_for())
            self._recovering_since = None


async def run(settings: ScoringSettings, stop: asyncio.Event) -> None:
    """Work until told to stop or unable to go on.

    Raises:
        AttuneError: cannot go on; the supervisor starts this process anew.
    """
    await kafka.create_topics(settings)
    app = build_app(settings)
    watch = Watch(app, settings)
    checks = {"worker": watch.ready}
    probes = health.server(health.app(app.metrics.registry, checks), host=settings.http_host, port=settings.http_port)
    serving = asyncio.create_task(probes.serve())
    following = asyncio.create_task(app.follower.run())
    working = asyncio.create_task(_work(app))
    try:
        await _watch(watch, stop, working)
    except KafkaError as error:
        raise _told(error) from error
    finally:
        probes.should_exit = True
        await _within(settings.scoring_stop_seconds, app.stop())
        await _within(settings.scoring_stop_seconds, serving)
        working.cancel()
        following.cancel()
        await asyncio.wait([following], timeout=settings.scoring_stop_seconds)


async def _work(app: ScoringApp) -> None:
    """Not before it is known what each episode is to be worked out with."""
    await app.follower.has_read.wait()
    await app.start()


def _told(failure: BaseException | None) -> AttuneError:
    """The failure as one clear line; what an expected one says already."""
    if isinstance(failure, AttuneError):
        return failure
    return Unavailable(f"scoring cannot go on: {type(failure).__name__}", hint="this worker restarts and joins anew")


async def _watch(watch: Watch, stop: asyncio.Event, working: asyncio.Task[None]) -> None:
    while not stop.is_set():
        watch.alive()
        if working.done():
            working.result()
        watch.measure()
        try:
            await asyncio.wait_for(stop.wait(), WATCH_SECONDS)
        except TimeoutError:
            continue


async def _within(seconds: float, ending: Awaitable[None]) -> None:
    """Await an orderly end, and end the process where it does not come: everything that counts is in Kafka."""
    try:
        await asyncio.wait_for(ending, seconds)
    except TimeoutError:
        logs.get("scoring.worker").error("no orderly end in time", seconds=seconds)
        os._exit(EXIT_STUCK)
