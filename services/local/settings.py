"""What a person may set for the stack on one machine, beside what every service reads."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

CHECKOUT = Path(__file__).resolve().parents[2]


def _default_home() -> Path:
    """Beside the project where this is a checkout, else where the command was called."""
    return (CHECKOUT if (CHECKOUT / "pyproject.toml").exists() else Path.cwd()) / ".attune"


class LocalSettings(BaseSettings):
    """Read from `ATTUNE_*` variables, and from `JAVA_HOME`."""

    model_config = SettingsConfigDict(env_prefix="ATTUNE_", frozen=True, extra="ignore", populate_by_name=True)

    home: Path = Field(
        default_factory=_default_home, description="data, logs, secrets, status: see services.local.home"
    )
    cache_dir: Path | None = Field(default=None, description="downloads; default: `cache` in the home")
    maven_repository: str | None = Field(default=None, description="where Kafka's jars come from, before ~/.m2 and jgo")
    java_home: Path | None = Field(default=None, validation_alias="JAVA_HOME")

    kafka_port: int = Field(default=9092, ge=0, le=65_535, description="0 or taken: a free one")
    kafka_topic_prefix: str = ""
    ingest_port: int = Field(default=8700, ge=0, le=65_535)
    alerts_port: int = Field(default=8710, ge=0, le=65_535)
    relay_port: int = Field(default=8720, ge=0, le=65_535)
    scoring_port: int = Field(default=8730, ge=0, le=65_535)

    durable: bool = Field(default=True, description="false turns PostgreSQL's fsync off: for tests alone")

    @property
    def cache(self) -> Path:
        return (self.cache_dir or self.home / "cache").absolute()

    @property
    def sockets(self) -> Path:
        """Where a socket folder goes when the home's own path is too long for one."""
        return Path(tempfile.gettempdir())
