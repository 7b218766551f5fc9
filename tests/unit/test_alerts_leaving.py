"""Alerts about a client who may be about to leave: told once for a run of such sessions, gone when it is over."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.alerts.domain.decide import decide
from services.alerts.domain.policy import DEFAULT, Leaving
from services.alerts.domain.reconcile import Stored, reconcile
from services.alerts.domain.record import Forecast
from services.alerts.domain.wanted import Wanted
from tests.alerts_cases import care, case, day

LIKELY = Forecast("s4", 4, day(28), 0.34, line=0.3, since="s3", otherwise=0.12, reason="missed appointments")


def told(forecast: Forecast | None, **about: object) -> list[Wanted]:
    found = decide(DEFAULT, case((), episode=care(forecast=forecast, **about), as_of=day(30)))
    return [each for each in found if each.kind == "dropout-risk"]


def test_it_says_how_likely_why_and_what_would_be_otherwise() -> None:
    """The chance, what adds most to it, the line, and the chance if that were as usual."""
    (alert,) = told(LIKELY)
    assert alert.reason == "at such a point 34 in 100 leave within three sessions: missed appointments"
    assert (alert.severity, alert.rule, alert.session) == ("amber", "dropout-hazard", "s4")
    assert alert.evidence["threshold"] == "30% or more within three sessions, which few of this clinic's sessions reach"
    assert alert.evidence["without_the_largest"] == "12%, and would not have flagged"


def test_a_run_of_such_sessions_is_one_alert() -> None:
    """The next session of the run says the same alert again, with its own words."""
    (first,), (next_,) = told(LIKELY), told(LIKELY._replace(session="s5", number=5, at=day(35), within_three=0.4))
    assert first.alert_id == next_.alert_id
    assert "40 in 100" in next_.reason


@pytest.mark.parametrize(
    ("forecast", "about"),
    [
        (None, {}),
        (LIKELY._replace(since=None, within_three=0.2), {}),
        (LIKELY._replace(within_three=0.15, line=0.1), {}),
        (LIKELY, {"is_open": False}),
        (LIKELY, {"last_attended_at": day(1), "silent_amber_at": day(2), "attended": 4}),
    ],
    ids=["no model", "below the line", "too unlikely to be worth a word", "care has ended", "silent already"],
)
def test_where_there_is_nothing_to_say_it_is_silent(forecast: Forecast | None, about: dict[str, object]) -> None:
    """One thing to talk about at a time, and only what is true now."""
    assert told(forecast, **about) == []


def test_another_policy_may_not_read_it() -> None:
    """Without `leaving` nothing is said; with a higher chance asked for, less."""
    about = case((), episode=care(forecast=LIKELY))
    assert decide(replace(DEFAULT, leaving=None), about) == ()
    assert decide(replace(DEFAULT, leaving=Leaving(0.35)), about) == ()


def test_it_is_gone_when_no_longer_true() -> None:
    """Cleared, not withdrawn: nothing was wrong with it."""
    (alert,) = told(LIKELY)
    standing = Stored(alert.alert_id, alert.kind, "amber", "open", alert.reason, historical=False, rule=alert.rule)
    (change,) = reconcile({alert.alert_id: standing}, told(LIKELY._replace(since=None)))
    assert (change.state, change.steps[0][0]) == ("cleared", "cleared")
