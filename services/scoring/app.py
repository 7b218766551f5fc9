"""The Faust app of scoring: group membership, assignor, table and its recovery are Faust's; records travel as lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import faust
from aiokafka import AIOKafkaConsumer

from schemas.topics import EPISODES_CHANGELOG, SESSION_EVENTS
from services.platform import kafka
from services.scoring.fitted import Follower
from services.scoring.lanes import Lanes, Scorer
from services.scoring.metrics import Metrics
from services.scoring.scorer import EpisodeScorer, Table
from services.scoring.settings import ScoringSettings
from services.scoring.transport import Connect, ListTransport

APP = "attune-scoring"
TABLE = "episodes"


class ScoringApp(faust.App):
    """A Faust app that knows its lanes, its table, its metrics and the clinics' own parameters."""

    lanes: Lanes
    follower: Follower
    metrics: Metrics
    episodes: Any

    def _create_directories(self) -> None:
        """Nothing of ours is on disk: the table is in memory and its truth is the changelog."""


MakeScorer = Callable[[ScoringSettings, ScoringApp], Scorer]


def episode_scorer(settings: ScoringSettings, app: ScoringApp) -> Scorer:
    """The real core, on this app's table."""
    table = Table(app.episodes.data.get, app.episodes.apply_changelog_batch)
    return EpisodeScorer(settings, app.follower.engines, table, app.metrics)


def build_app(settings: ScoringSettings, make_scorer: MakeScorer = episode_scorer) -> ScoringApp:
    """A worker's app, wired and not started. Needs a running loop, connects nowhere yet."""
    app = _faust(settings)
    app.metrics = Metrics()
    app.follower = Follower(settings)
    app.episodes = _table(app, settings)
    app.lanes = Lanes(settings, make_scorer(settings, app), app.metrics)
    source = settings.topic(SESSION_EVENTS.name)
    app.transport = ListTransport(app, connect=_connect(settings), sink=app.lanes, source=source)
    app.topics.add(app.topic(source, key_type=bytes, value_type=bytes, partitions=settings.kafka_partitions))
    return app


def _faust(settings: ScoringSettings) -> ScoringApp:
    return ScoringApp(
        settings.topic(APP),
        broker=f"kafka://{settings.kafka_bootstrap}",
        broker_commit_interval=settings.scoring_commit_seconds,
        broker_session_timeout=settings.kafka_session_timeout_ms / 1000,
        canonical_url=_address(settings),
        store="memory://",
        topic_allow_declare=False,
        topic_disable_leader=True,
        topic_partitions=settings.kafka_partitions,
        web_enabled=False,
        worker_redirect_stdouts=False,
    )


def _address(settings: ScoringSettings) -> str:
    """How Faust tells members apart. A static member's must outlive the process: the broker gives its old one back."""
    return f"http://{settings.scoring_instance or f'{settings.http_host}:{settings.http_port}'}"


def _table(app: ScoringApp, settings: ScoringSettings) -> Any:  # noqa: ANN401 - Faust's table is generic over Any
    """One encoded episode per key; partitioned as its source, so that a worker has what its partitions need."""
    changelog = app.topic(
        settings.topic(EPISODES_CHANGELOG.name),
        key_type=bytes,
        value_type=bytes,
        partitions=settings.kafka_partitions,
        compacting=True,
        acks=False,
        internal=True,
        allow_empty=True,
    )
    return app.Table(
        TABLE, key_type=bytes, value_type=bytes, partitions=settings.kafka_partitions, changelog_topic=changelog
    )


def _connect(settings: ScoringSettings) -> Connect:
    def connect(assignor: Any, /) -> AIOKafkaConsumer:  # noqa: ANN401 - aiokafka's own
        return kafka.consumer(
            settings,
            group=APP,
            partition_assignment_strategy=[assignor],
            group_instance_id=settings.scoring_instance,
            max_poll_records=8 * settings.scoring_chunk_records,
        )

    return connect
