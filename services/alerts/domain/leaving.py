"""A client who may be about to leave: the clinic's own hazard of dropout is among its highest. Pure.

Told once for a run of such sessions, and gone with the first session that is none. Who is silent already is told of by
that alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from services.alerts.domain.policy import Policy
from services.alerts.domain.record import Case, Forecast
from services.alerts.domain.wanted import Evidence, Wanted, alert_id

KIND: Final = "dropout-risk"
RULE: Final = "dropout-hazard"


def leaving(policy: Policy, case: Case) -> Iterator[Wanted]:
    """What should be told of the latest session's forecast."""
    seen, line = case.episode.forecast, policy.leaving
    if line is None or seen is None or seen.since is None or not case.episode.is_open:
        return
    if seen.within_three >= line.least_chance:
        yield Wanted(
            alert_id=alert_id(case.episode.episode_id, KIND, seen.since, RULE),
            kind=KIND,
            severity="amber",
            state="open",
            rule=RULE,
            reason=f"at such a point {100 * seen.within_three:.0f} in 100 leave within three sessions: {seen.reason}",
            occurred_at=seen.at,
            historical=seen.historical,
            session=seen.session,
            evidence=_evidence(policy, seen),
        )


def _evidence(policy: Policy, seen: Forecast) -> Evidence:
    assert policy.leaving is not None
    threshold = max(seen.line, policy.leaving.least_chance)
    found: dict[str, float | str] = {
        "session_number": float(seen.number),
        "value": seen.within_three,
        "threshold": f"{threshold:.0%} or more within three sessions, which few of this clinic's sessions reach",
        "seen": seen.reason,
        "policy": policy.name,
    }
    if seen.otherwise is not None:
        escapes = "and would not have flagged" if seen.otherwise < threshold else "and would have flagged all the same"
        found["without_the_largest"] = f"{seen.otherwise:.0%}, {escapes}"
    return found
