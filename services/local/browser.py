"""`python -m services.local.browser`: bring a Chromium for the page's test, where that is allowed.

It never fails the run: without a browser the test is skipped, and this says why in one line.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")


def installed() -> Path | None:
    """The machine's Chromium."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    return Path(found) if found else None


def bring() -> str:
    """Install Debian's Chromium where we may; the line to show."""
    if found := installed():
        return f"browser: {found}"
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        return "browser: none; the page's test is skipped (as root on Debian: apt-get install chromium)"
    sys.stdout.write("browser: installing Debian's chromium ...\n")
    sys.stdout.flush()
    if not (_quietly(apt, "update") and _quietly(apt, "install", "--yes", "--no-install-recommends", "chromium")):
        return "browser: apt-get could not install chromium; the page's test is skipped"
    return f"browser: {installed()}"


def _quietly(apt: str, *arguments: str) -> bool:
    environment = {"PATH": os.defpath, "DEBIAN_FRONTEND": "noninteractive"}
    command = [apt, "-qq", *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - the command is ours
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=600
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


if __name__ == "__main__":
    sys.stdout.write(f"{bring()}\n")
