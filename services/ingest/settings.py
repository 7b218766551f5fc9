"""Settings of the door, beyond what every process has."""

from __future__ import annotations

from pydantic import Field

from services.platform.settings import Settings


class IngestSettings(Settings):
    """Read once in `__main__`."""

    http_port: int = Field(default=8700, ge=0, le=65_535)
    database_seconds: float = Field(default=5.0, gt=0, description="as above, and the sender waits for it: then 503")
    ingest_queue: int = Field(
        default=4_000,
        ge=1,
        description="single posts that may wait: half of them one clinic's, a third each of two, and so on; then 429",
    )
    ingest_group: int = Field(default=100, ge=1, description="most single posts that share a transaction")
    ingest_body_seconds: float = Field(default=30.0, gt=0, description="how long a body may take to arrive")
    ingest_batches: int = Field(
        default=4, ge=1, description="batches at work: half of them one clinic's at most; then 429"
    )


class RelaySettings(Settings):
    """The relay's own."""

    http_port: int = Field(default=8720, ge=0, le=65_535, description="probes and metrics")
    reconcile_seconds: float = Field(default=60.0, gt=0, description="how often it looks for facts nothing answered")
    reconcile_age_seconds: float = Field(default=300.0, ge=0, description="how old a publication is that it looks at")
