"""Made-up courses of care, as the decisions of alerts see them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from schemas.instruments import Instrument, lookup
from services.alerts.domain.decide import decide
from services.alerts.domain.policy import DEFAULT, Policy
from services.alerts.domain.reconcile import Change, Stored, reconcile
from services.alerts.domain.record import Case, Done, Episode, Number, Rated
from services.alerts.domain.wanted import Wanted
from services.scoring.domain import episode
from services.scoring.domain.config import DEFAULT as ENGINE
from services.scoring.domain.facts import DAY, Fact, Rating

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
EPISODE = UUID(int=77)
LEVEL = 37.0
"""Where this client usually is."""
Records = dict[UUID, Stored]


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def rated(session: int, total: float = LEVEL, **more: Any) -> Rated:  # noqa: ANN401 - any field of a rating
    """Session's rating (a week apart). Four or more below the level is improbable, and so evidence of a change."""
    below = LEVEL - total
    numbers = {"rupture-evidence": changed(below), "predictive-drop": dropped(below)} if below >= 4 else {}
    fields: dict[str, Any] = {
        "rating_id": UUID(int=session),
        "session": f"s{session:03d}",
        "at": day(7 * session),
        "instrument": "srs@3",
        "rater": "client",
        "span": 40.0,
        "step": 0.1,
        "total": total,
        "index": total * 2.5,
        "numbers": numbers,
        "quantiles": {"0.02": LEVEL - 3.5},
    }
    return Rated(**(fields | more))


def changed(by: float, *, rate: float = 0.004, slide: float = 0.1) -> Number:
    details = {"rate": rate, "drop": by, "slide": slide, "expected": LEVEL, "ordinary_0.01": LEVEL - 3.5}
    return Number(2.5, f"{by:g} below usual", details)


def dropped(by: float) -> Number:
    return Number(by, f"{by:g} below usual", {"expected": LEVEL, "tail_probability": 0.004})


def fell(by: float) -> Number:
    return Number(by, f"{by:g} below the session before")


def drifted(by: float) -> Number:
    return Number(by, "lower than usual for some sessions", {"usual": LEVEL})


def course(*totals: float, **more: Any) -> tuple[Rated, ...]:  # noqa: ANN401 - any field of a rating
    """One rating a session, from session 1."""
    return tuple(rated(number, total, **more) for number, total in enumerate(totals, start=1))


def care(**more: Any) -> Episode:  # noqa: ANN401 - any field of an episode
    fields: dict[str, Any] = {"episode_id": EPISODE, "is_open": True}
    return Episode(**(fields | more))


def case(
    ratings: Iterable[Rated],
    episode: Episode | None = None,
    *,
    acts: Mapping[UUID, tuple[Done, ...]] | None = None,
    clients: int = 500,
    as_of: datetime = START,
) -> Case:
    return Case(episode or care(), tuple(ratings), acts or {}, clients, as_of)


def decided(*totals: float, policy: Policy = DEFAULT) -> tuple[Wanted, ...]:
    return decide(policy, case(course(*totals)))


def changes(stored: Records, wanted: Iterable[Wanted]) -> list[Change]:
    return list(reconcile(stored, wanted))


def apply(stored: Records, made: Iterable[Change]) -> Records:
    """The records after these changes, as the ledger writes them."""
    after = dict(stored)
    for change in made:
        alert = change.wanted
        if alert is None:
            known = stored[change.alert_id]
            after[change.alert_id] = Stored(
                known.alert_id, known.kind, known.severity, change.state, known.reason, known.historical, known.rule
            )
        else:
            after[change.alert_id] = Stored(
                alert.alert_id, alert.kind, alert.severity, change.state, alert.reason, alert.historical, alert.rule
            )
    return after


def after(stored: Records, now: Case, policy: Policy = DEFAULT) -> tuple[Records, list[str]]:
    """The records once this is known, and the steps that led there."""
    made = changes(stored, decide(policy, now))
    return apply(stored, made), [action for change in made for action, _ in change.steps]


def scored(instrument: str, totals: Sequence[float]) -> list[Rated]:
    """What the engine makes of these totals, a week apart, as decisions see it."""
    form = lookup(instrument)
    assert isinstance(form, Instrument)
    facts = [_fact(number, instrument, total) for number, total in enumerate(totals, start=1)]
    read = episode.read_episode(ENGINE, facts)
    assert read is not None
    return [
        Rated(
            rating_id=uuid5(EPISODE, each.rating_id),
            session=str(each.session_id),
            at=START + timedelta(microseconds=each.occurred_at),
            instrument=instrument,
            rater="client",
            span=form.total.span,
            step=form.total.step,
            total=each.total,
            index=each.index,
            numbers={signal.detector: Number(signal.value, signal.reason, signal.details) for signal in each.signals},
            family=form.family,
            better=1 if form.direction == "up" else -1,
        )
        for each in read.readings
    ]


def _fact(number: int, instrument: str, total: float) -> Fact:
    at = number * 7 * DAY
    rating = Rating(instrument, "client", total=total)
    return Fact(f"r{number}", f"r{number}", 1, "rating.submitted", at, at, session_id=f"s{number}", rating=rating)
