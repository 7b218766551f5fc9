"""What alerts tells operations: each metric once, with unit and meaning."""

from __future__ import annotations

from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


@dataclass(slots=True)
class AlertsMetrics:
    """Of the consumer, the sweep and the API."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    records: Counter = field(init=False)
    batch_seconds: Histogram = field(init=False)
    steps: Counter = field(init=False)
    dead_letters: Counter = field(init=False)
    retries: Counter = field(init=False)
    lag: Gauge = field(init=False)
    delay_seconds: Histogram = field(init=False)
    swept: Counter = field(init=False)
    sweep_failures: Counter = field(init=False)
    silent_feeds: Gauge = field(init=False)
    published: Counter = field(init=False)
    relay_failures: Counter = field(init=False)
    log_cut: Counter = field(init=False)
    awaits_replay: Gauge = field(init=False)

    def __post_init__(self) -> None:
        own = self.registry
        self.records = Counter("attune_alerts_records", "Records taken in, by topic", ["topic"], registry=own)
        self.batch_seconds = Histogram(
            "attune_alerts_batch_seconds", "Time of one batch's transaction", buckets=_SECONDS, registry=own
        )
        self.steps = Counter("attune_alerts_steps", "Steps of alerts' lives", ["kind", "action"], registry=own)
        self.dead_letters = Counter("attune_alerts_dead_letters", "Records set aside", ["code"], registry=own)
        self.retries = Counter("attune_alerts_retries", "Batches that failed and are tried again", registry=own)
        self.lag = Gauge("attune_alerts_lag_records", "Records not yet taken in", registry=own)
        self.delay_seconds = Histogram(
            "attune_alerts_delay_seconds",
            "From a record's time in Kafka to its effects, per batch's oldest",
            buckets=(*_SECONDS, 10.0, 30.0, 60.0, 300.0),
            registry=own,
        )
        self.swept = Counter("attune_alerts_swept", "Episodes whose deadline was looked at", registry=own)
        self.sweep_failures = Counter(
            "attune_alerts_sweep_failures", "Clinics whose deadlines could not be decided, by look", registry=own
        )
        self.silent_feeds = Gauge(
            "attune_alerts_silent_feeds", "Clinics of which nothing was heard for days: their sweep waits", registry=own
        )
        self.published = Counter("attune_alerts_published", "Steps acknowledged by Kafka", registry=own)
        self.relay_failures = Counter("attune_alerts_relay_failures", "Relay rounds tried again", registry=own)
        self.log_cut = Counter("attune_alerts_log_cut", "Partitions found to have lost their end", registry=own)
        self.awaits_replay = Gauge(
            "attune_alerts_awaits_replay", "1 while a topic is not the one that was read before", registry=own
        )
