"""The Faust agent that the manual shows: `python -m tests.benchmarks.peers.obvious_faust SOURCE SINK TOTAL`.

One event at a time, a Record, a Table with its changelog, `await topic.send`. It does what `Trivial` of `scoring_runs`
does: each record is answered, and kept as its key's state. All settings are Faust's own, but for what makes it faster
to start. It promises less: at least once, unfenced. Prints records a second from the first record to the last one.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import time

import faust
from faust.types import StreamT


class Event(faust.Record, serializer="json"):
    """What all facts have; what only some have travels along."""

    schema_version: int
    type: str
    fact_id: str
    record_id: str
    version: int
    tenant_id: str
    client_id: str
    episode_id: str
    occurred_at: str
    recorded_at: str
    clock: str
    historical: bool
    clinician_id: str | None = None
    session_id: str | None = None
    starts_at: str | None = None
    instrument: str | None = None
    rater: str | None = None
    items: dict[str, float] | None = None


class Agent:
    """The agent's body, and how far it came."""

    def __init__(self, app: faust.App, source: str, sink: str) -> None:
        self.seen, self.began = 0, 0.0
        self._last = app.Table("last", key_type=bytes, value_type=Event, partitions=app.conf.topic_partitions)
        self._sink = app.topic(sink, key_type=bytes, value_type=Event)
        app.agent(app.topic(source, key_type=bytes, value_type=Event))(self._echo)

    async def _echo(self, stream: StreamT[Event]) -> None:
        async for key, event in stream.items():
            self.began = self.began or time.perf_counter()
            self._last.get(key)
            self._last[key] = event
            await self._sink.send(key=key, value=event)
            self.seen += 1


async def main(source: str, sink: str, total: int) -> None:
    """Ends the process when all is seen: an orderly stop of the app takes it a minute."""
    broker = os.environ["ATTUNE_KAFKA_BOOTSTRAP"]
    partitions = int(os.environ["ATTUNE_KAFKA_PARTITIONS"])
    folder = tempfile.mkdtemp(prefix="attune-bench-")
    app = faust.App(
        f"{source}-obvious", broker=f"kafka://{broker}", datadir=folder, topic_partitions=partitions, web_enabled=False
    )
    agent = Agent(app, source, sink)
    await app.start()  # returns when all is under way, long before the first record
    while agent.seen < total:
        if app.crashed:
            raise RuntimeError("the agent's app crashed") from app.crash_reason
        await asyncio.sleep(0.01)
    sys.stdout.write(f"{total / (time.perf_counter() - agent.began)}\n")
    sys.stdout.flush()
    shutil.rmtree(folder)
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
