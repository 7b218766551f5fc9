"""What must be on the machine before anything starts. The second time it only looks."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.local import jars, java
from services.local.progress import Steps
from services.local.settings import LocalSettings


@dataclass(frozen=True, slots=True)
class Toolchain:
    """Programs and jars, all checked."""

    java: Path
    jars: tuple[Path, ...]


def ensure(settings: LocalSettings, steps: Steps) -> Toolchain:
    """Find or fetch everything; resumable.

    Raises:
        DownloadFailed, WrongHash: see their text.
    """
    with _alone(settings.cache):
        found = java.find(settings, steps)
        source = jars.repository(settings, Path.home())
        return Toolchain(found, jars.fetch(jars.pinned(), source, settings.cache / "kafka", steps))


@contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """Two set-ups of one cache take turns; the second finds everything there."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
