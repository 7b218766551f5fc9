"""quixstreams with the trivial core: `.venv/bench/bin/python PATH-OF-THIS GUARANTEE CODEC IN OUT TOTAL`.

Each record is answered as it is and kept as its key's state (RocksDB, with a changelog): what `Trivial` of
`scoring_runs` does. Generous to it where CODEC is `bytes`: no record is decoded, a state is bytes; `json` is how its
manual does it. Its checkpoints come each second, as our offsets do, where we commit a transaction for each chunk: its
readers wait that second, and a key's states in between never reach its changelog. Prints records a second, from the
first record to the last checkpoint.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from typing import Any

from quixstreams import Application, State  # type: ignore[import-not-found]  # installed in .venv/bench alone


class Echo:
    """The core, and when it saw its first record."""

    began = 0.0

    def bytes(self, value: Any, state: State) -> Any:  # noqa: ANN401 - what its codec made of it
        self.began = self.began or time.perf_counter()
        state.get_bytes("last")
        state.set_bytes("last", value)
        return value

    def json(self, value: Any, state: State) -> Any:  # noqa: ANN401 - likewise
        self.began = self.began or time.perf_counter()
        state.get("last")
        state.set("last", value)
        return value


def application(broker: str, guarantee: str, folder: str) -> Any:  # noqa: ANN401 - quixstreams is not installed here
    return Application(
        broker_address=broker,
        consumer_group="bench-quix",
        auto_offset_reset="earliest",
        processing_guarantee=guarantee,
        commit_interval=1.0,
        state_dir=folder,
        loglevel="ERROR",
        producer_extra_config={"compression.type": "lz4", "linger.ms": 5},
    )


def run(guarantee: str, codec: str, source: str, sink: str, total: int) -> float:
    echo = Echo()
    with tempfile.TemporaryDirectory() as folder:
        app = application(os.environ["ATTUNE_KAFKA_BOOTSTRAP"], guarantee, folder)
        frame = app.dataframe(app.topic(source, key_deserializer="bytes", value_deserializer=codec))
        frame = frame.apply(getattr(echo, codec), stateful=True)
        frame.to_topic(app.topic(sink, key_serializer="bytes", value_serializer=codec))
        app.run(count=total, collect=False, timeout=120)
        return total / (time.perf_counter() - echo.began)


if __name__ == "__main__":
    guarantee, codec, source, sink, total = sys.argv[1:]
    sys.stdout.write(f"{run(guarantee, codec, source, sink, int(total))}\n")
