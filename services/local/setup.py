"""What must be on the machine before anything starts. The second time it only looks."""

from __future__ import annotations

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
    found = java.find(settings, steps)
    source = jars.repository(settings, Path.home())
    return Toolchain(found, jars.fetch(jars.pinned(), source, settings.cache / "kafka", steps))
