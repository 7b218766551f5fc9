"""From what the records say to what they should say: the steps that are told on the way."""

from __future__ import annotations

from tests.alerts_cases import after, case, course


def test_what_is_over_is_not_escalated() -> None:
    """An alert that turned red and cleared between two looks is told as cleared, not as worse."""
    stored, _ = after({}, case(course(37, 31)))
    stored, steps = after(stored, case(course(37, 31, 31.5, 37, 37)))
    assert steps == ["cleared"]
    assert [(alert.state, alert.severity) for alert in stored.values()] == [("cleared", "red")]


def test_a_restored_rating_that_was_recovered_from_is_cleared() -> None:
    """Retracted, restored, and back at the usual by then: the record says cleared, not that a correction undid it."""
    stored, _ = after({}, case(course(37, 31)))
    stored, _ = after(stored, case(course(37, 37)))
    assert [alert.state for alert in stored.values()] == ["withdrawn"]
    stored, steps = after(stored, case(course(37, 31, 37, 37)))
    assert steps == ["reopened", "cleared"]
    assert [alert.state for alert in stored.values()] == ["cleared"]
