"""Disengaging: a deadline of silence that has passed, or a no-show before the third session. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from services.alerts.domain import wording
from services.alerts.domain.policy import Policy, Severity
from services.alerts.domain.record import Case, Episode
from services.alerts.domain.wanted import Wanted, alert_id


def absence(policy: Policy, case: Case) -> Iterable[Wanted]:
    """Disengaging: a deadline that has passed, or a no-show before the third session."""
    episode = case.episode
    if not episode.is_open:
        return
    severity = _silent(episode, case.as_of)
    missed = episode.missed_at[0] if episode.missed_at else None
    if severity is None and not (policy.early_no_show and _stays_away_early(episode)):
        return
    since = (episode.last_attended_at or missed) if severity else missed
    if since is not None:
        yield _disengaging(policy, case, since, severity)


def _stays_away_early(episode: Episode) -> bool:
    """Missed before the third session, and not seen since."""
    if not episode.missed_before_third or episode.attended >= 3 or not episode.missed_at:
        return False
    return episode.last_attended_at is None or episode.last_attended_at < episode.missed_at[-1]


def _silent(episode: Episode, now: datetime) -> Severity | None:
    if episode.silent_red_at is not None and now >= episode.silent_red_at:
        return "red"
    if episode.silent_amber_at is not None and now >= episode.silent_amber_at:
        return "amber"
    return None


def _disengaging(policy: Policy, case: Case, since: datetime, severity: Severity | None) -> Wanted:
    episode, rule = case.episode, "silence" if severity else "early-no-show"
    days = wording.days_between(since, case.as_of)
    told_late = _past_when_told(episode) if severity else False
    deadline = episode.silent_amber_at if severity else None
    return Wanted(
        alert_id=alert_id(episode.episode_id, "disengaging", since.isoformat(), rule),
        kind="disengaging",
        severity=severity or "amber",
        state="open",
        rule=rule,
        reason=wording.silence(days) if severity else "did not come, before the third session",
        occurred_at=deadline or since,
        historical=told_late,
        evidence={
            "last_seen": f"{since:%Y-%m-%d}",
            "sessions_attended": float(episode.attended),
            "policy": policy.name,
            **({"worth_a_word_since": f"{deadline:%Y-%m-%d}"} if deadline else {}),
            **({"seen": episode.silence_reason} if severity and episode.silence_reason else {}),
        },
    )


def _past_when_told(episode: Episode) -> bool:
    """Whether the deadline had passed before anything was known: an import's silence is history, not news."""
    deadline, known = episode.silent_amber_at, episode.known_at
    return deadline is not None and known is not None and known >= deadline
