"""Published numbers of reliable change, sudden losses and prorated totals; each test names its source."""

from __future__ import annotations

from statistics import fmean, stdev

import numpy as np
import pytest

from schemas.instruments import Instrument, Scored, lookup, score
from services.scoring.domain import openfit, reliable, sequences, sudden
from services.scoring.domain.reliable import Course, Sample

DAS_PRE = (
    *(90.5, 74, 97, 73.5, 61, 66.5, 68.5, 86.5, 88.5, 68.5, 98, 80.5, 89.5, 91.5, 83.5),
    *(60.5, 83, 88, 98.5, 78.5, 99.5, 79.5, 84.5, 92.5, 93, 85, 64, 61, 80, 82.5),
)
DAS_POST = (
    *(97, 124, 97.5, 88, 96.5, 62.5, 112.5, 103.5, 90, 82.5, 105, 99.5, 112.5, 101, 99.5),
    *(79.5, 88, 100.5, 119, 116, 116, 129, 113, 118, 92, 114, 68, 52, 60.5, 104.5),
)
"""Dyadic Adjustment Scale of 30 couples, Jacobson & Truax 1991, table 2, from JT-RCI's data folder (5ce946d)."""

PRE = (30, 20, 10, 8, 6, 4, 2)
"""The ratings of clinicalsignificance's test-calc_rci.R (7b2f20b)."""
SUDDENGAINS = {
    1: "35 37 34 23 24 21 29 17 11 11 10 7",
    2: "26 - 26 - 27 17 19 11 10 3 - 7",
    3: "35 38 35 37 36 37 - 35 26 24 - 19",
    4: "31 30 32 22 22 20 21 19 24 33 30 28",
    5: "39 37 36 26 26 23 21 19 6 7 8 8",
    6: "37 - 23 - 23 21 - - 19 - 16 13",
    7: "37 - 23 21 - 21 - - - - - 20",
    8: "41 37 - - - - - - - - - -",
    9: "35 34 32 23 24 22 21 17 14 10 13 11",
    10: "35 35 25 25 17 17 16 16 11 9 7 8",
    11: "40 - 36 37 36 37 - 34 26 25 - 19",
    12: "38 38 31 23 21 22 24 25 30 31 - 25",
    13: "34 33 36 23 25 23 19 18 10 9 8 9",
    14: "39 37 23 - 23 21 - - 21 - 16 14",
    15: "28 19 23 12 13 - 13 - - - - 22",
    16: "25 - - - - - - - - - - 20",
    17: "41 37 - - - - - - - - - -",
    18: "- 38 35 24 - 22 17 16 - 9 11 13",
}
"""Ratings of 12 sessions, `-` where there is none, of suddengains' test-create_bysg.R (e964e74): more is worse."""
BDI = sudden.Config(cutoff=7.0, share=0.25, worse="up", zero=0.0)


@pytest.mark.parametrize(
    ("sd", "reliability", "expected"),
    [(10.5, 0.961, (2.073584, 2.932490, 5.747681)), (6.396073, 0.931, (1.680111, 2.376036, 4.657030))],
)
def test_standard_errors_of_suddengains(sd: float, reliability: float, expected: tuple[float, float, float]) -> None:
    """The test-define_crit1_cutoff.R of suddengains (e964e74): SEM, SE of the difference, reliable change value."""
    sample = Sample(0.0, sd, reliability)
    told = (reliable.measurement_error(sample), reliable.difference_error(sample), reliable.critical_change(sample))
    assert told == pytest.approx(expected, abs=1e-6)


def test_the_index_of_jacobson_and_truax() -> None:
    """Jacobson & Truax 1991: M 40, SD 7.5, r .80; 32.5 to 47.5 is 3.16; cut-off c with functional mean 60 is 50."""
    before, functional = Sample(40, 7.5, 0.80), Sample(60, 7.5, 0.80)
    assert reliable.jacobson_truax(before, 32.5, 47.5) == pytest.approx(10**0.5, abs=1e-6)
    assert [reliable.cutoff(each, before, functional) for each in ("a", "b", "c")] == [55.0, 45.0, 50.0]


def test_couples_of_jacobson_and_truax() -> None:
    """Their table 2 with r .84: 18 improved, 11 unchanged, 1 deteriorated; by criterion a 10 of the 18 recovered."""
    before = Sample(fmean(DAS_PRE), stdev(DAS_PRE), 0.84)
    assert (before.mean, before.sd, fmean(DAS_POST)) == pytest.approx((81.583333, 11.825661, 98.05), abs=1e-6)
    assert reliable.measurement_error(before) == pytest.approx(4.730264, abs=1e-6)
    assert reliable.difference_error(before) == pytest.approx(6.689604, abs=1e-6)
    assert reliable.critical_change(before) == pytest.approx(13.111624, abs=1e-6)
    line = reliable.cutoff("a", before, before)
    assert line == pytest.approx(105.234655, abs=1e-6)
    told = [
        reliable.classify(reliable.jacobson_truax(before, pre, post), pre, post, line)
        for pre, post in zip(DAS_PRE, DAS_POST, strict=True)
    ]
    assert {change: told.count(change) for change in set(told)} == {
        "recovered": 10,
        "improved": 8,
        "unchanged": 11,
        "deteriorated": 1,
    }


def test_the_variants_of_clinicalsignificance() -> None:
    """The test-calc_rci.R of clinicalsignificance (7b2f20b), its ratings and norms, its formulas written out again."""
    pre, r = np.array(PRE, float), 0.80
    error, prediction = 5 * (1 - r) ** 0.5, 5 * (1 - r * r) ** 0.5
    post = np.array([3, 2, 2, 2, 2, 2, 1], float)
    before = Sample(10, 5, r)
    pairs = list(zip(PRE, post.tolist(), strict=True))

    expected = (2 - 5 - r * (pre - 5)) / (7 * (1 - r * r) ** 0.5)
    assert [reliable.gulliksen_lord_novick(Sample(5, 7, r), each, 2) for each in PRE] == pytest.approx(expected)
    expected = (post - 7 - r * (pre - 10)) / prediction
    assert [reliable.hsu_linn_lord(before, 7, *pair) for pair in pairs] == pytest.approx(expected, abs=1e-9)
    expected = (2 - (r * (pre - 10) + 10)) / error
    assert [reliable.edwards_nunnally(before, each, 2) for each in PRE] == pytest.approx(expected, abs=1e-9)
    expected = (2 - (r * (pre - 10) + 10)) / (r * r * 25 * (1 - r) + 25 * (1 - 0.8)) ** 0.5
    assert [reliable.nunnally_kotsch(before, 0.8, each, 2) for each in PRE] == pytest.approx(expected, abs=1e-9)

    correlation = float(np.corrcoef(pre, post)[0, 1])
    shared = 2 * 5 * 6 * correlation
    r_dd = (25 * r + 36 * (36 - error**2) / 36 - shared) / (25 + 36 - shared)
    expected = ((post - pre) * r_dd - 3 * (1 - r_dd)) / (r_dd * 2 * error**2) ** 0.5
    course = Course(before, mean_after=7, sd_after=6, correlation=correlation)
    assert reliable.difference_reliability(course) == pytest.approx(r_dd, abs=1e-9)
    assert [reliable.hageman_arrindell(course, *pair) for pair in pairs] == pytest.approx(expected, abs=1e-9)


def test_differences_without_reliability_have_no_index() -> None:
    """Where everything that differs is error, Hageman and Arrindell's index does not exist."""
    course = Course(Sample(10, 5, 0.2), mean_after=10, sd_after=5, correlation=0.9)
    assert reliable.hageman_arrindell(course, 10, 20) is None


def test_norms_that_make_no_standard_error_are_refused() -> None:
    """The message says where to look."""
    with pytest.raises(ValueError, match="check the norms' source"):
        Sample(40, 7.5, 1.0)


@pytest.mark.parametrize(
    ("scores", "after"),
    [
        ((10, 11, 12, 30, 28, 33), (3,)),
        ((10, 11, 12, 10, 28, 33), (4,)),
        ((10, 11, 30, 30, 28, 33), (2,)),
        ((35, 37, 34, 23, 24, 21), ()),
    ],
)
def test_sudden_losses_of_suddengains(scores: tuple[float, ...], after: tuple[int, ...]) -> None:
    """The test-identify_sl.R of suddengains (e964e74), cut-off -7 on a measure where more is worse."""
    assert sudden.losses(BDI, scores) == after


def test_sudden_gains_of_suddengains() -> None:
    """Its test-create_bysg.R: 14 gains in 18 people with missing sessions. A gain is a loss of the other direction."""
    gains = sudden.Config(cutoff=7.0, share=0.25, worse="down", zero=0.0)
    courses = {
        person: [None if rating == "-" else float(rating) for rating in row.split()]
        for person, row in SUDDENGAINS.items()
    }
    found = {person: sudden.losses(gains, scores) for person, scores in courses.items()}
    assert {person: places for person, places in found.items() if places} == {
        1: (3, 7),
        3: (8,),
        4: (3,),
        5: (3, 8),
        9: (3,),
        10: (2, 4),
        12: (3,),
        13: (3, 8),
        14: (2,),
        18: (3,),
    }


def test_the_second_criterion_of_sudden_losses_excludes_something() -> None:
    """A loss of less than a quarter is none, which suddengains' comparison (true of every loss) would let through."""
    small = (40.0, 40.2, 39.8, 48.0, 48.2, 47.8)
    assert sudden.losses(BDI, small) == ()
    assert sudden.losses(sudden.Config(7.0, 0.0, "up", 0.0), small) == (3,)
    assert small[2] - small[3] <= 0.25 * small[2]


def test_sudden_losses_with_missing_sessions() -> None:
    """Two ratings a side are enough, at a stricter t; without the neighbouring rating nothing can be said."""
    assert sudden.losses(BDI, (10, 11, 12, 30, None, 33)) == (3,)
    assert sudden.losses(BDI, (None, 11, 12, 30, None, 33)) == (3,)
    assert sudden.losses(BDI, (10, 11, None, 30, 28, 33)) == ()
    assert sudden.losses(BDI, (8, 16, 12, 20, None, 26)) == ()


def test_core_10_is_prorated_as_its_trust_says() -> None:
    """coresystemtrust.org.uk: nine answers that sum to 18 are 20.0; eight make no score, nor does a form without q6."""
    core = lookup("core-10@1")
    assert isinstance(core, Instrument)
    nine = {f"q{number}": 2.0 for number in range(1, 10)}
    eight = {f"q{number}": 2.0 for number in range(1, 9)}
    no_risk = {f"q{number}": 2.0 for number in range(1, 11) if number != 6}
    totals = []
    for items in (nine, eight, no_risk):
        scored = score(core, items)
        assert isinstance(scored, Scored)
        totals.append(scored.total)
    assert totals == [20.0, None, None]


@pytest.mark.parametrize(
    ("scores", "colours"),
    [
        ((36.0, 35.9), ("green", "red")),
        ((38.4, 37.4), ("green", "red")),
        ((38.4, 37.5), ("green", "green")),
        ((None, 40.0), ("grey", "green")),
        ((40.0, None, 36.0), ("green", "grey", "green")),
    ],
)
def test_openfit_is_red_when_its_page_says_so(scores: tuple[float | None, ...], colours: tuple[str, ...]) -> None:
    """support.openfit.care 204000069702: red strictly below 36, or one point or more below the last session."""
    rule = openfit.Config(cutoff=36.0, fall=1.0)
    state, told = openfit.start(rule), []
    for each in scores:
        state, reading = openfit.step(rule, state, each)
        told.append(reading.colour)
    assert tuple(told) == colours


def test_a_v_of_two_sds_is_found_by_both_criteria_and_of_one_by_the_lenient() -> None:
    """Gumz et al. 2012: both thresholds are reported, because how many sequences there are depends on which is used."""
    config = sequences.Config(2.2, lenient_sds=1, strict_sds=2, repair_share=0.75, window_sessions=3, own_from=5)
    seen = {}
    for depth in (1.0, 3.0, 6.0):
        state = sequences.start(config)
        for value in (38.0, 38.0, 38.0 - depth, 38.0):
            state, reading = sequences.step(config, state, value)
        seen[depth] = (reading.lenient.phase, reading.strict.phase)
    assert seen == {1.0: ("none", "none"), 3.0: ("repaired", "none"), 6.0: ("repaired", "repaired")}


def test_a_sequence_without_recovery_lapses_after_its_window() -> None:
    """Three sessions without three quarters of the fall made good: told as such, then a new one may open."""
    config = sequences.Config(2.2, lenient_sds=1, strict_sds=2, repair_share=0.75, window_sessions=3, own_from=5)
    state, phases = sequences.start(config), []
    for value in (38.0, 31.0, 32.0, 33.0, 34.0, 34.0):
        state, reading = sequences.step(config, state, value)
        phases.append(reading.strict.phase)
    assert phases == ["none", "open", "open", "open", "lapsed", "none"]
