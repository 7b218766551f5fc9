"""What clinics go by today, as policies: they flag what their name says, and say what they would not have."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.instruments import catalogue
from services.alerts.domain.decide import decide, set_off
from services.alerts.domain.policy import POLICIES
from tests.alerts_cases import case, scored

TOTALS = st.lists(st.integers(200, 400).map(lambda tenths: tenths / 10), min_size=2, max_size=5)


@given(TOTALS)
@example([36.0, 36.0])
@example([38.0, 35.9])
def test_the_cut_off_is_the_conventions(totals: list[float]) -> None:
    """Below 36 of 40, and not at it."""
    flagged = [set_off(POLICIES["cut-off-1"], each, 500) is not None for each in scored("srs@3", totals)]
    assert flagged == [total < 36 for total in totals]


@pytest.mark.parametrize("points", [3, 5, 6])
@given(TOTALS)
@example([40.0, 37.0, 34.9, 30.0, 24.0])
def test_a_drop_counts_from_its_points_on(points: int, totals: list[float]) -> None:
    """The fall since the session before, in points of 40, the line included."""
    flagged = [set_off(POLICIES[f"drop-{points}-1"], each, 500) is not None for each in scored("srs@3", totals)]
    assert flagged == [False, *(round(a - b, 6) >= points for a, b in itertools.pairwise(totals))]


@pytest.mark.parametrize("name", ["cut-off-1", "drop-3-1", "drop-5-1", "drop-6-1"])
def test_what_would_not_have_been_flagged_is_said(name: str) -> None:
    """At the score that is named nothing is flagged; a tenth below it, it is."""
    (alert,) = decide(POLICIES[name], case(scored("srs@3", [39.0, 30.0])))
    escape = float(re.findall(r"[\d.]+", str(alert.evidence["would_not_have_flagged"]))[0])
    assert set_off(POLICIES[name], scored("srs@3", [39.0, escape])[-1], 500) is None
    assert set_off(POLICIES[name], scored("srs@3", [39.0, round(escape - 0.1, 6)])[-1], 500) is not None


def test_conventions_of_alliance_measures_ask_for_at_least_so_much() -> None:
    """What the counterfactual of a cut-off takes for granted."""
    cutoffs = [each for form in catalogue() if form.family == "alliance" for each in form.cutoffs]
    assert cutoffs
    assert {each.comparator for each in cutoffs} == {"lt"}
