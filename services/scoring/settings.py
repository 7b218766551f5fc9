"""Settings of the scoring service, beyond what every process has (`services.platform.settings`)."""

from __future__ import annotations

from pydantic import Field

from services.platform.settings import Settings


class ScoringSettings(Settings):
    """Read once in `__main__` from `ATTUNE_*`."""

    http_port: int = Field(default=8730, ge=0, le=65_535, description="probes and metrics")
    scoring_instance: str | None = Field(
        default=None, description="static membership: a killed worker that returns under its name waits for nobody"
    )
    scoring_chunk_records: int = Field(default=1_000, ge=1, description="most records in a transaction")
    scoring_commit_seconds: float = Field(
        default=1.0, gt=0, description="how often offsets are committed; identity, not offsets, decides what is held"
    )
    scoring_stalled_seconds: float = Field(
        default=30.0, gt=0, description="records wait and nothing moves for this long: the process ends itself"
    )
    scoring_recovery_seconds: float = Field(
        default=600.0, gt=0, description="a rebalance and the table's recovery may take this long"
    )
    scoring_stop_seconds: float = Field(default=8.0, gt=0, description="an orderly stop may take this long")
