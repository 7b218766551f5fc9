"""Every rule of the comparison: what it says, and that it is the published one. Simulation, no clinical evidence."""

from __future__ import annotations

import numpy as np
import pytest

from services.lab.generator import Course, simulate
from services.lab.population import Floats
from services.lab.rules import DEFAULT_RULE, rules
from services.lab.seen import UnknownRuleScaleError
from services.lab.tried import evidence_of_all
from services.lab.truth import Truth, case, most_in_windows, truth

RULES = {rule.name: rule for rule in rules()}
FIRST = {"level", "OpenFIT", "total < 36", "any item < 9"}
"""What these say does not need a past."""


@pytest.fixture(scope="module")
def courses() -> list[Course]:
    return simulate(seed=7, clients=1_200)


@pytest.fixture(scope="module")
def facts(courses: list[Course]) -> Truth:
    return truth([case(course) for course in courses])


@pytest.fixture(scope="module")
def evidence(courses: list[Course]) -> dict[str, Floats]:
    return evidence_of_all(rules(), courses)


@pytest.mark.parametrize(
    ("name", "sensitivity", "false_alarms"),
    [
        ("OpenFIT", 0.89, 0.296),
        ("total < 36", 0.73, 0.205),
        ("any item < 9", 0.83, 0.332),
        ("drop >= 3", 0.66, 0.058),
        ("drop >= 5", 0.48, 0.013),
        ("drop >= 6", 0.38, 0.005),
        ("drop since last", 0.48, 0.013),
        ("Tobit-Bayes (rank 1)", 0.47, 0.010),
        ("EWMA of own residuals", 0.31, 0.009),
        ("CUSUM of own residuals", 0.30, 0.008),
    ],
)
def test_operating_characteristics_are_those_published(
    name: str, sensitivity: float, false_alarms: float, evidence: dict[str, Floats], facts: Truth
) -> None:
    """Sensitivity and false alarms of domain brief 2.9, within three standard errors of so many clients."""
    threshold = RULES[name].threshold
    most, _ = most_in_windows(facts, evidence[name])
    clean = evidence[name][facts.clean]
    assert (most > threshold).mean() == pytest.approx(
        sensitivity, abs=3 * np.sqrt(sensitivity * (1 - sensitivity) / most.size)
    )
    assert (clean > threshold).mean() == pytest.approx(
        false_alarms, abs=0.001 + 4 * np.sqrt(false_alarms * (1 - false_alarms) / clean.size)
    )


@pytest.mark.parametrize("name", RULES)
def test_a_rule_says_one_number_a_session_and_knows_no_future(name: str, courses: list[Course]) -> None:
    """What is said of a session does not change with what comes after it; yes/no rules say 0 or 1."""
    rule = RULES[name]
    for course in courses[:25]:
        whole = rule.evidence(course)
        assert whole.shape == (len(course.totals),)
        assert np.isnan(whole[0]) or name in FIRST or (rule.dial is None and whole[0] == 0)
        assert rule.dial is not None or set(whole.tolist()) <= {0.0, 1.0}
        part = Course(course.totals[:4], course.items[:4], (), (), (), dropped_out=False)
        np.testing.assert_array_equal(rule.evidence(part), whole[:4])


def test_the_default_is_first_and_has_a_dial() -> None:
    """What all others are compared with can be set to any rate of false alarms."""
    first = rules()[0]
    assert first.name == DEFAULT_RULE
    assert first.dial is not None


def test_rules_take_another_scale() -> None:
    """Points are fortieths of the span: on the SAI (0 to 30) a level rule asks below 27."""
    level = next(rule for rule in rules(instrument="sai@1") if rule.name == "level")
    assert level.dial == -27


def test_a_rule_needs_a_known_scale() -> None:
    """The error says what was asked for and where instruments are."""
    with pytest.raises(UnknownRuleScaleError, match="'srs@9' is not in the registry"):
        rules(instrument="srs@9")
