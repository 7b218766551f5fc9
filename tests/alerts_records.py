"""Made-up readings, snapshots and risk answers for the tests of alerts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from schemas import events
from services.alerts.domain.record import Case, Done, Episode, Number, Rated

START = datetime(2026, 1, 1, 10, tzinfo=UTC)
DAY = timedelta(days=1)
TENANT, CLIENT, EPISODE, OWNER = (UUID(int=number) for number in (1, 2, 3, 4))
USUAL = 36.0


# ------------------------------------------------------------------ the domain's own values


def rated(number: int, total: float, previous: float | None = USUAL) -> Rated:
    """One SRS rating of a client whose usual is 36: surprising below 31, drifting below 33."""
    below = None if previous is None else USUAL - total
    return Rated(
        rating_id=UUID(int=100 + number),
        session=f"s{number:03d}",
        at=START + 7 * number * DAY,
        instrument="srs@3",
        rater="client",
        span=40.0,
        step=0.1,
        total=total,
        index=total * 2.5,
        numbers={
            "rupture-evidence": Number(None if below is None else 2.5, f"{below} below", changed(total)),
            "predictive-drop": Number(
                below, f"{below} below", {"tail_probability": 0.001 if total < 31 else 0.5, "expected": USUAL}
            ),
            "reliable-drop": Number(None if previous is None else previous - total, "below the session before"),
            "drift": Number(3.5 if total < 33 else 0.0, "below this client's usual", {"usual": USUAL}),
        },
        quantiles={"0.02": 31.0},
    )


def changed(total: float) -> dict[str, float | None]:
    """What speaks for a change of the alliance: a rating below 31 is rarer than one in a hundred."""
    rate = 0.002 if total < 31 else 0.5
    return {"rate": rate, "drop": USUAL - total, "slide": 0.0, "expected": USUAL, "ordinary_0.01": 31.0}


def course(*totals: float) -> tuple[Rated, ...]:
    """A client's ratings, weekly."""
    before = [None, *totals[:-1]] if totals else []
    return tuple(rated(number, total, before[number]) for number, total in enumerate(totals))


def case(
    ratings: tuple[Rated, ...],
    *,
    acts: Mapping[UUID, tuple[Done, ...]] | None = None,
    clients: int = 300,
    days: float = 0,
    **episode: Any,  # noqa: ANN401 - fields of Episode
) -> Case:
    """An open episode with these ratings, as known some days after its start."""
    about = Episode(EPISODE, **({"is_open": True} | episode))
    return Case(about, ratings, acts or {}, clients, START + days * DAY)


# -------------------------------------------------------------------------- as they come from Kafka


def _common(facts: int) -> dict[str, Any]:
    return {
        "tenant_id": TENANT,
        "client_id": CLIENT,
        "episode_id": EPISODE,
        "revision": events.Revision(engine=1, facts=facts),
        "causes": (uuid4(),),
        "known_at": START + 30 * DAY,
        "clock": "feed",
    }


def reading(number: int, total: float, *, facts: int = 3) -> events.Reading:
    """The reading of one SRS rating; below 31 it is surprising."""
    details: dict[str, float | None] = {"tail_probability": 0.001 if total < 31 else 0.5, "expected": USUAL}
    drop = events.Signal(
        detector="predictive-drop", value=USUAL - total, unit="points", reason="below usual", details=details
    )
    change = events.Signal(
        detector="rupture-evidence", value=2.5, unit="nats", reason="below usual", details=changed(total)
    )
    return events.Reading(
        **_common(facts),
        rating_id=UUID(int=10 + number),
        session_id=UUID(int=50 + number),
        session_number=number,
        instrument="srs@3",
        rater="client",
        occurred_at=START + 7 * number * DAY,
        recorded_at=START + 7 * number * DAY,
        historical=False,
        total=total,
        index=total * 2.5,
        expected=events.Expectation(mean=USUAL, quantiles={"0.02": 31.0}),
        signals=(change, drop),
    )


def withdrawn(number: int, *, facts: int) -> events.ReadingWithdrawn:
    return events.ReadingWithdrawn(**_common(facts), rating_id=UUID(int=10 + number))


def snapshot(facts: int = 3, **more: Any) -> events.EpisodeSnapshot:  # noqa: ANN401 - fields of the snapshot
    about: dict[str, Any] = {"status": "open", "owner_id": OWNER, "ratings": 3, "historical": False}
    attendance = events.Attendance(
        attended=3,
        missed=0,
        cancelled=0,
        missed_of_last_three=0,
        missed_before_third=False,
        last_attended_at=START + 21 * DAY,
    )
    return events.EpisodeSnapshot(**_common(facts), **(about | {"attendance": attendance} | more))


def risk(version: int, value: float | None, record: int = 90) -> events.RiskAnswered:
    """PHQ-9 item 9 of one form, in one version."""
    return events.RiskAnswered(
        fact_id=uuid4(),
        record_id=UUID(int=record),
        version=version,
        tenant_id=TENANT,
        client_id=CLIENT,
        episode_id=EPISODE,
        occurred_at=START,
        recorded_at=START + DAY,
        clock="feed",
        instrument="phq-9@1",
        item="q9",
        value=value,
        urgent=(value or 0) >= 2,
    )
