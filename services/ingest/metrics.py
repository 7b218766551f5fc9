"""What the door and the relay tell operations: each metric once, with unit and meaning."""

from __future__ import annotations

from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_ROWS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000)


@dataclass(slots=True)
class IngestMetrics:
    """Of the door."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    events: Counter = field(init=False)
    requests: Counter = field(init=False)
    commit_seconds: Histogram = field(init=False)
    group_events: Histogram = field(init=False)
    waiting: Gauge = field(init=False)
    outcomes: Counter = field(init=False)
    tail_running: Gauge = field(init=False)
    dead_letters: Gauge = field(init=False)
    dead_letter_age: Gauge = field(init=False)
    logs_lost: Counter = field(init=False)

    def __post_init__(self) -> None:
        own = self.registry
        self.events = Counter("attune_ingest_events", "Posted events by verdict", ["verdict"], registry=own)
        self.requests = Counter("attune_ingest_requests", "Requests by status code", ["status"], registry=own)
        self.commit_seconds = Histogram(
            "attune_ingest_commit_seconds", "Time of one inbox transaction", buckets=_SECONDS, registry=own
        )
        self.group_events = Histogram(
            "attune_ingest_group_events", "Events that shared one transaction", buckets=_ROWS, registry=own
        )
        self.waiting = Gauge("attune_ingest_waiting_events", "Single posts waiting for a transaction", registry=own)
        self.outcomes = Counter("attune_ingest_outcomes", "Facts answered by scoring", ["outcome"], registry=own)
        self.tail_running = Gauge("attune_ingest_tail_running", "1 while the receipts' tail reads Kafka", registry=own)
        self.dead_letters = Gauge(
            "attune_ingest_dead_letters_open", "Dead letters that nobody has decided about", ["code"], registry=own
        )
        self.dead_letter_age = Gauge(
            "attune_ingest_dead_letter_age_seconds", "How old the oldest open dead letter is", registry=own
        )
        self.logs_lost = Counter(
            "attune_ingest_logs_lost", "Partitions of answers found cut or recreated", ["what"], registry=own
        )


@dataclass(slots=True)
class RelayMetrics:
    """Of the relay."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    published: Counter = field(init=False)
    failures: Counter = field(init=False)
    delay_seconds: Histogram = field(init=False)
    waiting: Gauge = field(init=False)
    oldest_seconds: Gauge = field(init=False)
    rounds: Counter = field(init=False)
    republished: Counter = field(init=False)
    changelogs_lost: Counter = field(init=False)
    scoring_behind: Gauge = field(init=False)

    def __post_init__(self) -> None:
        own = self.registry
        self.scoring_behind = Gauge(
            "attune_relay_scoring_behind_records", "Facts scoring had still to read, when bulk last asked", registry=own
        )
        self.republished = Counter(
            "attune_relay_republished", "Facts published again because nothing had answered them", registry=own
        )
        self.changelogs_lost = Counter(
            "attune_relay_changelogs_lost",
            "Partitions of scoring's changelog that ended before where they had: everything is published again",
            registry=own,
        )
        self.published = Counter("attune_relay_published", "Records acknowledged by Kafka", ["topic"], registry=own)
        self.failures = Counter("attune_relay_failures", "Rounds that failed and are tried again", registry=own)
        self.delay_seconds = Histogram(
            "attune_relay_delay_seconds",
            "From commit in the outbox to acknowledgement, per round's oldest row",
            buckets=(*_SECONDS, 10.0, 30.0, 60.0, 300.0),
            registry=own,
        )
        self.rounds = Counter("attune_relay_rounds", "Rounds of rows published and deleted", registry=own)
        self.waiting = Gauge(
            "attune_relay_waiting_rows",
            "Rows in the outbox, as last counted, up to 100,000 a lane",
            ["lane"],
            registry=own,
        )
        self.oldest_seconds = Gauge(
            "attune_relay_oldest_seconds", "Age of the oldest row that waits, 0 without one", ["lane"], registry=own
        )
