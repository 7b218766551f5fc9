"""What the pages say, before any browser or database."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from schemas.events import AlertKind, Severity
from services.alerts.web.cards import card
from services.alerts.web.chart import panel, series
from services.alerts.web.records import Alert, AlertState, Case, Step
from services.alerts.web.sparkline import HEIGHT, WIDTH, Mark, spark
from services.alerts.web.views import caseload_row, lead, next_booking, quality_notes, session_rows
from tests.browser.stories import CEILING, NEW, NOW, RUPTURE, Story, readings, snapshot

percent = st.none() | st.floats(0, 100)


def alert(
    story: Story,
    place: int,
    *,
    kind: AlertKind = AlertKind.RUPTURE_POSSIBLE,
    severity: Severity = "amber",
    state: AlertState = "open",
    historical: bool = False,
) -> Alert:
    at = story.at(place)
    return Alert(
        alert_id=UUID(int=place),
        client_id=story.client_id,
        episode_id=story.episode_id,
        kind=kind,
        severity=severity,
        state=state,
        reason="7.7 below this client's usual",
        rating_id=story.rating_id(place),
        occurred_at=at,
        opened_at=at,
        historical=historical,
        rule="predictive-drop",
        policy="fic-default-1",
        evidence={},
    )


def test_a_row_leads_with_what_is_most_pressing_and_unseen() -> None:
    """A risk answer before a red before an amber; what somebody has seen comes after what nobody has."""
    amber, red = alert(RUPTURE, 1), alert(RUPTURE, 2, severity="red")
    risk = alert(RUPTURE, 0, kind=AlertKind.RISK_ITEM, severity="red")
    first = lead([amber, red, risk])
    assert first is not None
    assert (first.tone.word, first.more) == ("Risk answer", 2)
    seen = lead([amber, alert(RUPTURE, 2, severity="red", state="acknowledged")])
    assert seen is not None
    assert seen.tone.word == "Worth a word"


def test_what_is_past_or_history_leads_no_row() -> None:
    """Resolved, withdrawn, cleared and historical alerts ask nothing of anybody."""
    past = [alert(RUPTURE, 1, state=state) for state in ("resolved", "withdrawn", "cleared")]
    assert lead([*past, alert(RUPTURE, 2, historical=True)]) is None


def test_a_client_without_ratings_has_a_row() -> None:
    """Nothing is drawn, and the row says so in words."""
    row = caseload_row(Case(snapshot(NEW), (), ()), {}, now=NOW, show_owner=False)
    assert (row.spark, row.spark_text, row.reference) == (None, "no ratings yet", "reference not available")


def test_a_booking_that_has_passed_is_none() -> None:
    """Scoring may not have looked since; the page does not promise a day that is over."""
    assert next_booking(snapshot(RUPTURE), NOW) is not None
    assert next_booking(snapshot(RUPTURE), NOW + timedelta(days=30)) is None


def test_the_alliance_comes_before_the_outcome() -> None:
    """The first panel is what the page is about; missed sessions are ticks on each."""
    panels = [panel(each, (), snapshot(RUPTURE).attendance.recent) for each in series(readings(RUPTURE))]
    assert [each["family"] for each in panels] == ["alliance", "outcome"]
    assert [len(each["missed"]) for each in panels] == [1, 1]


def test_an_alert_is_marked_on_the_session_that_raised_it() -> None:
    """On its own instrument's chart and row only, and not once it was withdrawn."""
    raised = [alert(RUPTURE, 8, severity="red"), alert(RUPTURE, 9, state="withdrawn")]
    alliance, outcome = (panel(each, raised, ()) for each in series(readings(RUPTURE)))
    assert [flag["x"] for flag in alliance["flags"]] == [RUPTURE.at(8).timestamp()]
    assert outcome["flags"] == []
    rows = session_rows(series(readings(RUPTURE))[0], raised)
    assert [row.date for row in rows if row.tones] == ["10 Mar 2026"]


def test_a_drop_below_what_was_expected_is_open_on_both_scales() -> None:
    """The same sessions surprise on the instrument's own scale and on 0-100."""
    drawn = panel(series(readings(RUPTURE))[0], (), ())
    assert drawn["own"]["surprising"] == drawn["index"]["surprising"]
    assert [place for place, surprise in enumerate(drawn["own"]["surprising"]) if surprise] == [7, 8]


def test_an_alert_is_explained_with_its_own_numbers() -> None:
    """Small chances stay visible, groups are opened out, and what is not known says so."""
    evidence = {"value": 0.004, "threshold": 0.02, "inputs": {"usual_level": 38.31, "session": 8}, "next_booking": None}
    explained = card(replace(alert(RUPTURE, 8), evidence=evidence), {})
    assert {fact.term: fact.text for fact in explained.facts} == {
        "Value": "0.004",
        "Flags when": "0.02",
        "Usual level": "38.3",
        "Session": "8",
        "Next booking": "not known",
        "Rule": "predictive-drop",
        "Policy": "fic-default-1",
    }


def test_what_made_it_red_is_said_at_once() -> None:
    """Red by what happened since says so on the card; red from the first, or amber again, has nothing to add."""
    louder = Step("escalated", NOW, reason="the client did not come to a session since")
    red = replace(alert(RUPTURE, 8), severity="red", steps=(louder,))
    assert card(red, {}).pressing == "Became more pressing on 20 Mar 2026: the client did not come to a session since"
    assert card(replace(red, steps=()), {}).pressing is None
    assert card(replace(red, severity="amber"), {}).pressing is None


def test_doubts_about_the_data_are_said() -> None:
    """Four perfect forms are a note about data quality, not a success."""
    assert quality_notes(readings(CEILING)) == ["17 Mar 2026: all four lines at the very top, as in every session"]


@given(marks=st.lists(st.builds(Mark, percent, percent, percent), max_size=30))
def test_a_small_line_stays_in_its_box(marks: list[Mark]) -> None:
    """Whatever was rated and expected, every point can be seen."""
    drawn = spark(marks)
    if drawn is None:
        assert all(mark.rating is None for mark in marks)
        return
    points = [tuple(map(float, pair.split(","))) for pair in f"{drawn.line} {drawn.band}".split()]
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)
