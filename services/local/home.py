"""The folder of one installation.

.attune/                 or ATTUNE_HOME
  lock                   held by the one supervisor that runs here; contains its process id
  status.json            services with state, address, process id and restarts; replaced as a whole
  secrets/               random, made once, 0600
  logs/NAME.log          of this start; NAME.1.log is the one before
  kafka/                 server.properties, data
  postgres/              data and socket; elsewhere when started by root: see services.local.place
  cache/                 downloads: jars, Java; safe to delete while nothing runs
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.local.errors import HomeInUse

KEYS = ("vault-key", "blind-index-key", "session-key")
"""What `services.platform.secrets` reads, as far as it is a key."""


@dataclass(frozen=True, slots=True)
class Home:
    """Paths below one root."""

    root: Path

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def kafka(self) -> Path:
        return self.root / "kafka"

    @property
    def status_file(self) -> Path:
        return self.root / "status.json"

    def prepare(self) -> None:
        """Make the folders and, once, the secrets."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.logs.mkdir(exist_ok=True)
        self.kafka.mkdir(exist_ok=True)
        self.secrets.mkdir(mode=0o700, exist_ok=True)
        for name in KEYS:
            _write_once(self.secrets / name, base64.b64encode(secrets.token_bytes(32)))

    def write_status(self, status: Mapping[str, Any]) -> None:
        """Replace the status file: a reader sees the old one or the new one."""
        part = self.status_file.with_suffix(".part")
        part.write_text(json.dumps(status, indent=2) + "\n", encoding="utf-8")
        part.replace(self.status_file)

    def read_status(self) -> dict[str, Any]:
        """The last status written, or nothing."""
        try:
            found: dict[str, Any] = json.loads(self.status_file.read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return {}
        return found

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder; the kernel lets go of it however this process ends.

        Raises:
            HomeInUse: another process holds it.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / "lock").open("a+", encoding="ascii") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                held.seek(0)
                raise _in_use(self.root, held.read().strip()) from None
            held.truncate(0)
            held.write(f"{os.getpid()}\n")
            held.flush()
            yield


def _in_use(root: Path, pid: str) -> HomeInUse:
    return HomeInUse(
        f"{root} is in use by process {pid or 'unknown'}",
        hint="stop that one with Ctrl-C or `kill`, or set ATTUNE_HOME to another folder",
    )


def _write_once(path: Path, content: bytes) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(handle, "wb") as file:
        file.write(content)
