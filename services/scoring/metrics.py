"""What operations can see of scoring. Units are in the names; labels are partitions and codes, never people."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
RECORDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000)
P = "attune_scoring_"


class Metrics:
    """One set for one worker."""

    def __init__(self) -> None:
        own = self.registry = CollectorRegistry()
        self.events = Counter(P + "events", "Records read from session-events", registry=own)
        self.readings = Counter(P + "readings", "Readings and withdrawals written", registry=own)
        self.snapshots = Counter(P + "snapshots", "Episode snapshots written", registry=own)
        self.dead_letters = Counter(P + "dead_letters", "Records set aside, by code", ["code"], registry=own)
        self.fences = Counter(P + "fences", "Times another worker had taken a partition over", registry=own)
        self.retries = Counter(P + "retries", "Transactions aborted and tried again", registry=own)
        self.chunk_records = Histogram(P + "chunk_records", "Records in one transaction", buckets=RECORDS, registry=own)
        self.compute_seconds = Histogram(
            P + "compute_seconds", "Decoding, folding and encoding one chunk", buckets=SECONDS, registry=own
        )
        self.chunk_seconds = Histogram(
            P + "chunk_seconds", "One chunk from taken to committed", buckets=SECONDS, registry=own
        )
        self.lag_records = Gauge(P + "lag_records", "Records not yet settled", ["partition"], registry=own)
        self.lag_seconds = Gauge(
            P + "lag_seconds", "How long records wait with none settled", ["partition"], registry=own
        )
        self.recovery_seconds = Gauge(P + "recovery_seconds", "How long the table's last recovery took", registry=own)
        self.episodes = Gauge(P + "episodes", "Episodes in the table", registry=own)
