"""A tally as what people ask of it: rates, overlaps, yields; and as JSON."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Final

from services.lab.backtest.foretold import foretold
from services.lab.backtest.judged import judge
from services.lab.backtest.tally import PolicyTally, Tally

RATED: Final = ("rupture-possible", "slow-decline")
"""Kinds of alerts that follow from ratings."""


def findings(tally: Tally, policies: tuple[str, ...], budget: float) -> dict[str, Any]:
    """All of it. `budget`: alerts a clinician and week are meant to be worth."""
    weeks = {week for _, week in tally.weeks}
    told: dict[str, Any] = {
        "record": {
            "events": tally.events,
            "refused_lines": tally.refused,
            "clients": tally.clients,
            "courses": tally.courses,
            "courses_closed": tally.closed,
            "alliance_sessions": tally.sessions,
            "clinician_weeks": len(tally.weeks),
            "first_week": _first_day(min(weeks)) if weeks else None,
            "last_week": _first_day(max(weeks)) if weeks else None,
            "taken_in_order_of": "care" if tally.in_order_of_care else "arrival",
        },
        "budget_per_clinician_week": budget,
        "policies": {name: _policy(tally, each, budget) for name, each in zip(policies, tally.policies, strict=True)},
        "overlap": _overlap(tally, policies),
        "refused": dict(tally.reasons.most_common(20)),
        "first_refused": [each._asdict() for each in tally.faults],
    }
    if tally.judged:
        told["labels"] = {
            "courses": tally.labels_used,
            "courses_with_other_sessions": tally.labels_differ,
            "ruptures_after_the_last_session": tally.beyond,
            "policies": judge(tally.judged, policies),
            "dropout": foretold(tally.judged),
        }
    return told


def _policy(tally: Tally, seen: PolicyTally, budget: float) -> dict[str, Any]:
    weeks = max(1, len(tally.weeks))
    rated = sum(seen.by_kind[kind] for kind in RATED)
    return {
        "alerts": seen.alerts,
        "alerts_from_ratings": rated,
        "alerts_from_ratings_per_100_sessions": _rounded(100 * rated / max(1, tally.sessions)),
        "alerts_per_clinician_week": _rounded(seen.alerts / weeks),
        "alerts_from_ratings_per_clinician_week": _rounded(rated / weeks),
        "within_budget": seen.alerts / weeks <= budget,
        "sessions_in_which_a_rule_held": seen.flagged,
        "share_of_sessions_in_which_a_rule_held": _rounded(seen.flagged / max(1, tally.sessions)),
        "clients_with_an_alert": seen.clients,
        "by_kind": dict(sorted(seen.by_kind.items())),
        "by_severity": dict(sorted(seen.by_severity.items())),
        "by_rule": dict(sorted(seen.by_rule.items())),
    }


def _overlap(tally: Tally, policies: tuple[str, ...]) -> list[dict[str, Any]]:
    """Sessions in which a rule held, of each policy beside the first."""
    first = tally.policies[0].flagged
    return [
        {
            "policy": name,
            "beside": policies[0],
            "both": tally.both[0, place],
            "only_this": tally.policies[place].flagged - tally.both[0, place],
            "only_that": first - tally.both[0, place],
        }
        for place, name in enumerate(policies)
        if place
    ]


def _first_day(week: int) -> str:
    """Of a week counted from 1970."""
    return f"{date(1970, 1, 1) + timedelta(days=7 * week):%Y-%m-%d}"


def _rounded(value: float) -> float:
    return round(value, 4)
