"""Off-track alerts: when outcomes are worth a word, and when no longer. Readings are the engine's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.instruments import Instrument, lookup
from services.alerts.domain.decide import decide, set_off
from services.alerts.domain.policy import DEFAULT
from services.alerts.domain.record import Done, Rated
from services.alerts.domain.wanted import Wanted
from tests.alerts_cases import case, scored


def told(instrument: str, *totals: float, acts: Mapping[UUID, tuple[Done, ...]] | None = None) -> list[Wanted]:
    return [each for each in decide(DEFAULT, case(scored(instrument, totals), acts=acts)) if each.kind == "off-track"]


def test_reliably_worse_than_at_the_beginning_is_red_and_says_since_what() -> None:
    """Six points more on the PHQ-9, where more is worse."""
    (alert,) = told("phq-9@1", 12, 12, 18)
    assert (alert.severity, alert.state, alert.rule) == ("red", "open", "deterioration")
    assert alert.reason.startswith("PHQ-9 18: ")
    assert alert.reason.endswith("6.0 points worse than at the beginning, which is a reliable deterioration")
    assert alert.evidence["would_not_have_flagged"] == "at 12 or below"


def test_far_below_the_usual_course_is_amber_only_without_any_gain_and_not_at_once() -> None:
    """Whoever gains slowly is on the way; two scores are too few to say; the third without a gain is amber."""
    assert told("ors@1", 15.0, 15.0) == []
    assert told("ors@1", 15.0, 15.0, 16.0) == []
    (alert,) = told("ors@1", 15.0, 15.0, 15.0)
    assert (alert.severity, alert.rule) == ("amber", "off-track")


def test_amber_becomes_red_and_goes_when_it_is_no_longer_so() -> None:
    """One alert for one spell: louder with a reliable deterioration, cleared after two scores that are neither."""
    scores = (15.0, 15.0, 14.0, 9.0)
    (alert,) = told("ors@1", *scores)
    assert (alert.severity, alert.rule, alert.state) == ("red", "off-track", "open")
    (still,) = told("ors@1", *scores, 20.0)
    assert still.state == "open"
    (gone,) = told("ors@1", *scores, 20.0, 21.0)
    assert (gone.state, gone.alert_id, gone.why) == ("cleared", alert.alert_id, "no longer so for 2 scores in a row")


def test_what_a_person_is_done_with_comes_back_only_if_it_gets_worse() -> None:
    """Resolved at amber: quiet while it stays so, a new alert with a reliable deterioration."""
    (alert,) = told("ors@1", 15.0, 15.0, 15.0)
    acts = {alert.alert_id: (Done("resolved", alert.occurred_at + timedelta(days=1)),)}
    assert [each.alert_id for each in told("ors@1", 15.0, 15.0, 15.0, 14.0, acts=acts)] == [alert.alert_id]
    again = told("ors@1", 15.0, 15.0, 15.0, 14.0, 9.0, acts=acts)
    assert [(each.severity, each.rule) for each in again] == [("amber", "off-track"), ("red", "deterioration")]


def test_two_measures_are_one_alert() -> None:
    """It speaks of the worse one, turns to the other when that is over, and goes when both are."""
    ors, phq = (15.0, 15.0, 15.0, 15.0, 15.0), (12, 12, 18, 10, 10)

    def after(weeks: int, *more: Rated) -> Wanted:
        both = (*scored("ors@1", ors[:weeks]), *scored("phq-9@1", phq[:weeks]), *more)
        (alert,) = decide(DEFAULT, case(both))
        return alert

    both_so, ors_still = after(3), after(5)
    assert (both_so.severity, both_so.evidence["instrument"]) == ("red", "phq-9@1")
    assert (ors_still.severity, ors_still.evidence["instrument"], ors_still.state) == ("amber", "ors@1", "open")
    assert both_so.alert_id == ors_still.alert_id
    assert after(5, *scored("ors@1", (*ors, 25.0, 26.0))[5:]).state == "cleared"


def test_outcomes_say_nothing_of_the_alliance_and_have_no_part_in_other_policies() -> None:
    """A fall of an outcome opens no possible rupture; a policy without the rule says nothing."""
    assert {each.kind for each in decide(DEFAULT, case(scored("ors@1", (30.0, 30.0, 10.0))))} == {"off-track"}
    assert decide(replace(DEFAULT, progress=None), case(scored("ors@1", (30.0, 30.0, 10.0)))) == ()


def _on_scale(form: Instrument, share: float) -> float:
    """The score at this share of the span, on the form's steps."""
    return round(form.total.low + round(share * form.total.span / form.total.step) * form.total.step, 6)


@pytest.mark.parametrize("instrument", ["phq-9@1", "ors@1", "core-10@1"])
@given(st.lists(st.integers(0, 20), min_size=2, max_size=6))
@example([10, 10, 10])
def test_the_counterfactual_holds(instrument: str, steps: list[int]) -> None:
    """At the score that is named nothing would have been flagged; one step worse, it would."""
    form = lookup(instrument)
    assert isinstance(form, Instrument)
    totals = [_on_scale(form, each / 20) for each in steps]
    last = scored(instrument, totals)[-1]
    opened = [each for each in told(instrument, *totals) if each.rating_id == last.rating_id]
    if not opened:
        return
    escape = float(re.findall(r"-?\d+\.?\d*", str(opened[0].evidence["would_not_have_flagged"]))[0])
    if not form.total.low <= escape <= form.total.high:
        return
    assert set_off(DEFAULT, scored(instrument, [*totals[:-1], escape])[-1], 500) is None
    worse = _on_scale(form, (escape - last.better * form.total.step - form.total.low) / form.total.span)
    assert set_off(DEFAULT, scored(instrument, [*totals[:-1], worse])[-1], 500) == "off-track"
