"""Settings shared by every service: frozen, read once in `__main__` from `ATTUNE_*` variables and files.

Secrets are files in `secrets_dir`, never variables (see `services.platform.secrets`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.topics import DEFAULT_PARTITIONS


class Settings(BaseSettings):
    """What every process of Attune needs to know; a service adds its own by subclassing."""

    model_config = SettingsConfigDict(env_prefix="ATTUNE_", frozen=True, extra="ignore")

    environment: Literal["local", "production"] = Field(
        default="production", description="`local` allows the development login and generated secrets"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    kafka_bootstrap: str = Field(default="127.0.0.1:9092", description="host:port[,host:port]")
    kafka_topic_prefix: str = Field(default="", description="put before every topic, group and transactional id")
    kafka_partitions: int = Field(
        default=DEFAULT_PARTITIONS, ge=1, description="of every topic; fixed for a generation"
    )
    kafka_replication: int = Field(default=1, ge=1)
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["SCRAM-SHA-512", "PLAIN"] = "SCRAM-SHA-512"
    kafka_username: str | None = Field(default=None, description="its password is the secret `kafka-password`")
    kafka_ca_file: Path | None = None
    kafka_session_timeout_ms: int = Field(default=10_000, ge=6_000)

    database_url: str = Field(default="", description="postgresql+asyncpg://role@host/database, password from a secret")
    database_pool: int = Field(default=4, ge=1)
    database_seconds: float = Field(
        default=60.0, gt=0, description="how long one statement may take; a database that hangs is one that is away"
    )

    secrets_dir: Path = Field(default=Path("/run/secrets/attune"), description="one file per secret")

    http_host: str = "127.0.0.1"
    http_port: int = Field(default=8700, ge=0, le=65_535)

    def topic(self, name: str) -> str:
        """The name of a topic, group or transactional id as this installation has it."""
        return f"{self.kafka_topic_prefix}{name}"
