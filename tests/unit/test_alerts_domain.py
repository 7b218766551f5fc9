"""What policy says of one client's course, case by case."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from services.alerts.domain.decide import decide
from services.alerts.domain.policy import DEFAULT, FIRST
from services.alerts.domain.reconcile import Stored, reconcile
from services.alerts.domain.record import Done, Number
from services.alerts.domain.wanted import Wanted
from tests.alerts_records import DAY, START, case, course


def only(*alerts: Wanted) -> Wanted:
    (alert,) = alerts
    return alert


def test_a_drop_is_flagged_with_its_numbers() -> None:
    """One surprising rating is one alert: its reason, its rule, its threshold, and what would not have been flagged."""
    alert = only(*decide(DEFAULT, case(course(36.0, 30.0))))
    assert (alert.kind, alert.severity, alert.state) == ("rupture-possible", "amber", "open")
    assert alert.reason == "30 is 6 below this client's usual of 36"
    assert alert.evidence["threshold"] == "rate below 0.01 and drop at least 2 and slide below 0.5"
    assert alert.evidence["would_not_have_flagged"] == "at 31 or above"


def test_a_drop_that_also_drifts_is_one_thing_to_talk_about() -> None:
    """The rating that sets off rank 1 does not open a second alert by rank 3."""
    assert [alert.kind for alert in decide(DEFAULT, case(course(36.0, 30.0)))] == ["rupture-possible"]
    assert [alert.kind for alert in decide(DEFAULT, case(course(36.0, 32.0)))] == ["slow-decline"]


def test_back_at_the_usual_it_clears() -> None:
    """Two sessions near the level before, and the alert no longer holds; one is not enough."""
    assert only(*decide(DEFAULT, case(course(36.0, 30.0, 36.0)))).state == "open"
    cleared = only(*decide(DEFAULT, case(course(36.0, 30.0, 36.0, 35.0))))
    assert (cleared.state, cleared.why) == ("cleared", "back at 35, 2 sessions in a row")


def test_a_level_that_lasts_is_no_longer_news() -> None:
    """Six sessions of what is by now expected of this client, and the alert clears; five are not enough."""
    fallen = course(36.0, 30.0)
    lasting = tuple(
        replace(each, numbers={"predictive-drop": Number(0.5, "", {"tail_probability": 0.4, "expected": 31.5})})
        for each in course(36.0, 30.0, *[31.0] * 6)[2:]
    )
    assert only(*decide(DEFAULT, case((*fallen, *lasting[:5])))).state == "open"
    settled = only(*decide(DEFAULT, case((*fallen, *lasting))))
    assert (settled.state, settled.why) == ("cleared", "settled at about 31 for 6 sessions")


def test_a_rating_of_zero_is_a_rating() -> None:
    """A fall to 0 is a fall of 36, not none."""
    assert only(*decide(DEFAULT, case(course(36.0, 0.0, 33.5, 33.5)))).state == "cleared"


def test_persistence_makes_it_red() -> None:
    """A second signal within three sessions, a very low level, or no way back for three sessions."""
    for scores in ((36.0, 30.9, 30.0), (36.0, 29.0), (36.0, 30.9, 33.0, 33.0, 33.0)):
        assert only(*decide(DEFAULT, case(course(*scores)))).severity == "red", scores


def test_staying_away_after_a_drop_makes_it_red() -> None:
    """A no-show after the flagged session."""
    alert = only(*decide(DEFAULT, case(course(36.0, 30.9), missed_at=(START + 10 * DAY,))))
    assert (alert.severity, alert.why) == ("red", "the client did not come to a session since")


def test_the_fallback_speaks_in_small_clinics_only() -> None:
    """The first policy's rank 2 is live below 200 clients and retires for all at 200."""
    steady_fall = course(38.0, 32.9)
    quiet = tuple(replace(each, numbers={"reliable-drop": each.numbers["reliable-drop"]}) for each in steady_fall)
    assert only(*decide(FIRST, case(quiet, clients=199))).rule == "reliable-drop"
    assert decide(FIRST, case(quiet, clients=200)) == ()


def test_what_a_person_resolved_stays_resolved() -> None:
    """After it, a new signal beyond the cooldown is a new alert, and the old one is left alone."""
    first = only(*decide(DEFAULT, case(course(36.0, 30.0))))
    acts = {first.alert_id: (Done("resolved", START + 8 * DAY),)}
    alerts = decide(DEFAULT, case(course(36.0, 30.0, 33.5, 33.5, 30.0), acts=acts))
    assert alerts[0].alert_id == first.alert_id
    assert len(alerts) == 2
    stored = {first.alert_id: Stored(first.alert_id, first.kind, "amber", "resolved", first.reason, historical=False)}
    assert [change.alert_id for change in reconcile(stored, alerts)] == [alerts[1].alert_id]


def test_silence_speaks_when_its_deadline_has_passed() -> None:
    """Amber, then red; nothing before, nothing once care has ended; history where it was long past when we heard."""
    silent: dict[str, Any] = {
        "last_attended_at": START,
        "silent_amber_at": START + 21 * DAY,
        "silent_red_at": START + 28 * DAY,
        "known_at": START + DAY,
    }
    assert decide(DEFAULT, case((), days=20, **silent)) == ()
    assert only(*decide(DEFAULT, case((), days=21, **silent))).severity == "amber"
    assert only(*decide(DEFAULT, case((), days=28, **silent))).severity == "red"
    assert decide(DEFAULT, case((), days=28, **silent, is_open=False)) == ()
    late = silent | {"known_at": START + timedelta(days=300)}
    assert only(*decide(DEFAULT, case((), days=400, **late))).historical


def test_an_early_no_show_speaks_until_the_client_comes() -> None:
    """Missed before the third session: amber; gone when the client has come since."""
    away: dict[str, Any] = {"missed_before_third": True, "attended": 1, "missed_at": (START + 7 * DAY,)}
    assert only(*decide(DEFAULT, case((), **away, last_attended_at=START))).rule == "early-no-show"
    assert decide(DEFAULT, case((), **away, last_attended_at=START + 14 * DAY)) == ()


def test_the_end_of_care_clears_what_was_open() -> None:
    """An ended course of care has nothing to look at."""
    alert = only(*decide(DEFAULT, case(course(36.0, 30.0), is_open=False)))
    assert (alert.state, alert.why) == ("cleared", "this course of care has ended")
