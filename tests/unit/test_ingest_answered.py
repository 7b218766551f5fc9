"""What the reconciler takes from another room's name is that name."""

from __future__ import annotations

from services.ingest.answered import SCORING_GROUP
from services.scoring.app import APP


def test_the_group_it_looks_at_is_scorings() -> None:
    """Rooms meet in Kafka alone: the group is written down twice, and held together here."""
    assert SCORING_GROUP == APP
