"""What every command is given, and where the stack is that it speaks to."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import typer
from rich.console import Console

from services.cli.paper import Paper
from services.local.home import Home
from services.local.settings import LocalSettings
from services.platform.errors import Unavailable
from services.platform.settings import Settings

T = TypeVar("T")
PREFIX = "ATTUNE_"
OPERATOR = "attune_operator"


@dataclass(slots=True)
class Invocation:
    """One call of `attune`: its environment, and where it writes. Results go to `out`, the rest to `say`."""

    environment: Mapping[str, str]
    debug: bool = False
    out: Console = field(default_factory=Paper)
    say: Console = field(default_factory=lambda: Console(stderr=True))

    def local(self) -> LocalSettings:
        return LocalSettings()

    def home(self) -> Home:
        return Home(self.local().home.absolute())

    def status(self) -> dict[str, Any]:
        """The last status of the stack in this home; empty where none was ever started."""
        return self.home().read_status()

    def database_url(self, role: str | None = None) -> str:
        """ATTUNE_DATABASE_URL, else that of the stack in this home, there as the role.

        Raises:
            Unavailable: neither.
        """
        if remote := self.environment.get(f"{PREFIX}DATABASE_URL"):
            return remote
        found = self._running().get("database_url")
        if not found:
            raise self._nothing_runs()
        from sqlalchemy.engine import make_url  # noqa: PLC0415 - takes long to load, and --help needs none

        url = make_url(str(found))
        return (url.set(username=role) if role else url).render_as_string(hide_password=False)

    def settings(self, role: str | None = None) -> Settings:
        """Settings for a connection to PostgreSQL as the role.

        Raises:
            Unavailable: there is no address.
        """
        return settings_from({**self.environment, f"{PREFIX}DATABASE_URL": self.database_url(role)})

    def kafka_settings(self) -> Settings:
        """Settings for a connection to Kafka: ATTUNE_KAFKA_BOOTSTRAP, else the stack in this home.

        Raises:
            Unavailable: neither.
        """
        if f"{PREFIX}KAFKA_BOOTSTRAP" in self.environment:
            return settings_from(self.environment)
        found = self._running().get("kafka_bootstrap")
        if not found:
            raise self._nothing_runs()
        return settings_from({**self.environment, f"{PREFIX}KAFKA_BOOTSTRAP": str(found)})

    def address(self, service: str, given: str | None = None) -> str:
        """Where a service listens: as given, else as the stack in this home says.

        Raises:
            Unavailable: neither.
        """
        if given:
            return given.rstrip("/")
        found = self._running().get("services", {}).get(service, {}).get("address")
        if not found:
            raise self._nothing_runs()
        return str(found)

    def _running(self) -> dict[str, Any]:
        status = self.status()
        services = status.get("services", {})
        alive = any(service.get("state") not in {"stopped", "failed"} for service in services.values())
        return status if alive and process_exists(status.get("pid")) else {}

    def is_up(self) -> bool:
        return bool(self._running())

    def _nothing_runs(self) -> Unavailable:
        return Unavailable(
            f"no stack runs in {self.home().root}",
            hint="start it with `attune up`, or name another with --url, ATTUNE_DATABASE_URL, ATTUNE_KAFKA_BOOTSTRAP",
        )


def process_exists(pid: object) -> bool:
    """Whether the process lives, on a machine with /proc; elsewhere the status file is believed."""
    return isinstance(pid, int) and (not Path("/proc/self").exists() or Path(f"/proc/{pid}").exists())


def settings_from(environment: Mapping[str, str]) -> Settings:
    """Settings as a process with this environment would read them."""
    return Settings.model_validate(
        {name.removeprefix(PREFIX).lower(): value for name, value in environment.items() if name.startswith(PREFIX)}
    )


def invocation(context: typer.Context) -> Invocation:
    """The invocation that `services.__main__` made."""
    made = context.find_root().obj
    assert isinstance(made, Invocation)
    return made


def finish(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's asynchronous part."""
    return asyncio.run(work)
