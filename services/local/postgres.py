"""A real PostgreSQL 18 on a Unix socket, for one machine."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg

from services.local.child import Service, end_orphans
from services.local.errors import ChildFailed
from services.local.place import Place
from services.platform.errors import Unavailable

SUPERUSER = "postgres"
OWNER = "attune_owner"
DATABASE = "attune"
SETTINGS = (
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "max_connections=120",
    "shared_buffers=64MB",
    "autovacuum_naptime=5s",
)
"""Statistics are taken soon: plans made while a table was empty read all of it, until PostgreSQL knows better."""
FORGETFUL = ("fsync=off", "full_page_writes=off")
"""A crash of the machine may lose or break the data, a killed process may not: for test runs alone."""


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """Where it lives and whether it must survive a crash of the machine."""

    place: Place
    durable: bool = True

    def url(self, role: str, database: str = DATABASE) -> str:
        """The address for SQLAlchemy; the socket's folder is the password."""
        return f"postgresql+asyncpg://{role}@/{database}?host={self.place.socket}"

    def prepare(self) -> None:
        """Make the cluster, once. One that was cut short is made again.

        Raises:
            ChildFailed: initdb failed.
        """
        done = self.place.root / "initialised"
        if done.exists():
            return
        for left in self.place.data.iterdir() if self.place.data.exists() else ():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        self._initdb()
        done.touch()

    def service(self, environment: Mapping[str, str]) -> Service:
        options = SETTINGS + (() if self.durable else FORGETFUL)
        flags = [part for option in options for part in ("-c", option)]
        return Service(
            name="postgres",
            command=(self._program("postgres"), "-D", str(self.place.data), "-k", str(self.place.socket), *flags),
            probe=self._probe,
            environment={"PATH": environment.get("PATH", ""), "LC_ALL": "C.UTF-8"},
            address=f"unix:{self.place.socket}",
            account=self.place.account,
            before=self._clear,
            stop_signal=signal.SIGINT,  # SIGTERM would wait for open sessions
            death_signal=signal.SIGINT,
        )

    async def create_database(self) -> None:
        """The owner's role and the database, if missing; the rest is the migrations' work."""
        connection = await self.connect()
        try:
            if not await connection.fetchval("select 1 from pg_roles where rolname = $1", OWNER):
                await connection.execute(f"create role {OWNER} login createdb createrole")
            if not await connection.fetchval("select 1 from pg_database where datname = $1", DATABASE):
                await connection.execute(f"create database {DATABASE} owner {OWNER}")
        finally:
            await connection.close()

    async def connect(self, role: str = SUPERUSER, database: str = "postgres") -> Any:  # noqa: ANN401 - asyncpg is untyped
        """A plain asyncpg connection.

        Raises:
            Unavailable: the server does not answer yet.
        """
        try:
            return await asyncpg.connect(host=str(self.place.socket), user=role, database=database)
        except (asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError) as error:
            raise Unavailable("PostgreSQL is starting") from error

    async def _probe(self) -> None:
        connection = await self.connect()
        await connection.close()

    async def _clear(self) -> None:
        """After a SIGKILL: orphans hold the shared memory, and the pid file may name a stranger."""
        await end_orphans(self.place.data)
        (self.place.data / "postmaster.pid").unlink(missing_ok=True)

    def _program(self, name: str) -> str:
        return str(self.place.binaries / "bin" / name)

    def _initdb(self) -> None:
        account = self.place.account
        command = [self._program("initdb"), "-D", str(self.place.data), "-U", SUPERUSER, "-A", "trust"]
        command += ["-E", "UTF8", "--locale=C.UTF-8", *([] if self.durable else ["--no-sync"])]
        done = subprocess.run(  # noqa: S603 - the command is ours
            command,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env={"PATH": ""},
            user=account.user if account else None,
            group=account.group if account else None,
            extra_groups=[] if account else None,
        )
        if done.returncode:
            last = (done.stderr or done.stdout).strip().splitlines()[-1:]
            raise ChildFailed(
                f"PostgreSQL could not make {self.place.data}: {' '.join(last)}", hint="is the disk full?"
            )
