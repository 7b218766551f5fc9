"""Settings of alerts, beyond what every process has."""

from __future__ import annotations

from pydantic import Field

from services.platform.settings import Settings


class AlertsSettings(Settings):
    """Read once in `__main__`."""

    http_port: int = Field(default=8710, ge=0, le=65_535)
    alerts_policy: str = Field(default="fic-default-2", description="one of services.alerts.domain.policy.POLICIES")
    alerts_batch_records: int = Field(default=2_000, ge=1, description="most records in one transaction")
    alerts_sweep_seconds: float = Field(default=5.0, gt=0, description="how often due deadlines are looked at")
    alerts_feed_quiet_seconds: float = Field(
        default=3.0, ge=0, description="a feed that is its own clock is swept once nothing came of it for so long"
    )
    alerts_feed_silent_hours: float = Field(
        default=96.0, gt=0, description="nothing heard of a clinic for so long: its deadlines wait, operations are told"
    )
