"""The end of Kafka's logs lost, as after a power cut: what was acknowledged, and not yet on the disk.

Kafka must be down. It starts as after a crash: it reads what is left of each log and makes its indexes anew.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

_HEAD = struct.Struct(">qiibIhiqq")
"""base offset, length after it, leader epoch, magic, checksum, attributes, last offset delta, first and last time."""
_BEFORE_LENGTH = 12
_CHECKPOINTS = ("recovery-point-offset-checkpoint", "replication-offset-checkpoint", ".kafka_cleanshutdown")
_DERIVED = ("*.index", "*.timeindex", "*.txnindex", "*.snapshot")


class Batch(NamedTuple):
    """Some records of a log, and where in its file they begin."""

    position: int
    offset: int
    written_ms: int


def cut(data: Path, since_ms: int, wanted: Callable[[str], bool] = lambda _: True) -> int:
    """Take away every batch written at this time or later, of the topics wanted; how many batches that were.

    A topic's partitions are folders in `data`: `session-events-0`. Kafka's own logs (`__consumer_offsets`,
    `__transaction_state`) lose their end like any other, where they are wanted.
    """
    for name in _CHECKPOINTS:
        (data / name).unlink(missing_ok=True)
    folders = [folder for folder in data.iterdir() if folder.is_dir() and wanted(folder.name.rpartition("-")[0])]
    return sum(_cut(folder, since_ms) for folder in folders)


def _cut(folder: Path, since_ms: int) -> int:
    lost = 0
    for segment in sorted(folder.glob("*.log")):
        batches = list(batches_of(segment))
        kept = [batch for batch in batches if batch.written_ms < since_ms]
        if len(kept) == len(batches):
            continue
        first = batches[next(place for place, batch in enumerate(batches) if batch.written_ms >= since_ms)]
        with segment.open("r+b") as file:
            file.truncate(first.position)
        lost += sum(batch.position >= first.position for batch in batches)
    for pattern in _DERIVED:
        for derived in folder.glob(pattern):
            derived.unlink()
    return lost


def batches_of(segment: Path) -> Iterator[Batch]:
    """The batches in a segment's file; an unfinished last one, or room kept for more, is none."""
    data = segment.read_bytes()
    position = 0
    while position + _HEAD.size <= len(data):
        offset, length, _, magic, _, _, _, _, written_ms = _HEAD.unpack_from(data, position)
        if magic != 2 or length <= 0:
            return
        yield Batch(position, offset, written_ms)
        position += _BEFORE_LENGTH + length
