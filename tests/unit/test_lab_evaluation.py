"""The evaluation by hand: windows, ties, equal false alarms, and a bootstrap that draws clients."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from services.lab.__main__ import app
from services.lab.bootstrap import interval, resamples, simultaneous, weigh
from services.lab.burden import burdens
from services.lab.clinics import CLINICS
from services.lab.comparison import compare
from services.lab.decline import declines, told_of
from services.lab.evaluate import CELLS, Thresholds, false_alarms, sensitivity, thresholds
from services.lab.generator import Course
from services.lab.population import Floats, Shape
from services.lab.repairs import Followed, follow, noticed
from services.lab.report import NoPlaceForTheTableError, marks, write_into
from services.lab.rules import Rule
from services.lab.tried import Tried, tried
from services.lab.truth import ALL, SCOPES, Case, Rupture, Truth, case, most_in_windows, truth

OVERALL = CELLS.index((ALL, ALL))
ALONE = resamples(1, 1, 1)[:1]


def course(active: str, falling: str = "", shape: Shape = "v") -> Course:
    """`o` an onset, `x` a session after it, `.` none; `f` marks the sessions that still fall."""
    sessions = len(active)
    ruptured = tuple(mark != "." for mark in active)
    return Course(
        totals=(38.0,) * sessions,
        items=((9.5,) * 4,) * sessions,
        ruptured=ruptured,
        expressed=ruptured,
        onset=tuple(mark == "o" for mark in active),
        dropped_out=False,
        shape=tuple(shape if each else None for each in ruptured),
        falling=tuple(mark == "f" for mark in (falling or active.replace("o", "f"))),
    )


def test_windows_and_clean_sessions() -> None:
    """At onset or next; a slide until one after its last fall; clean is neither now nor the session before."""
    seen = case(course("..ox..oxx", "..f...fff", "slide"))
    assert [(each.onset, each.last, each.repaired_at) for each in seen.ruptures] == [(2, 3, 4), (6, 8, None)]
    assert [at for at, clean in enumerate(seen.clean) if clean] == [0, 1, 5]
    assert case(course(".o")).ruptures[0].last == 1


def test_a_concealed_rupture_is_neither_clean_nor_asked_for() -> None:
    """Nobody can see it; yet its sessions are no false alarms."""
    seen = case(replace(course("..o.."), expressed=(False,) * 5))
    assert seen.ruptures == ()
    assert seen.clean == (True, True, False, False, True)
    assert seen.ruptured


def one(cases: list[Case]) -> Truth:
    return truth(cases)


def test_a_rupture_is_caught_by_the_most_evidence_in_its_window() -> None:
    """And how many sessions tie for it is known, for the randomised threshold."""
    facts = one([case(course("..o..")), case(course(".o."))])
    most, ties = most_in_windows(facts, np.array([9.0, 0, 1, 1, 9, 9, 2, -np.inf]))
    assert most.tolist() == [1.0, 2.0]
    assert ties.tolist() == [2, 1]


def test_false_alarms_are_exactly_as_many_as_asked_for() -> None:
    """With ties a share of them is flagged; above the threshold all are."""
    facts = one([case(course("." * 10))])
    evidence = np.array([0.0, 0, 0, 0, 0, 0, 1, 1, 1, 2])
    at = thresholds(facts, evidence, ALONE, np.array([[0.05, 0.1, 0.25, 0.4, 0.7]]))
    assert at.at.tolist() == [[2, 2, 1, 1, 0]]
    np.testing.assert_allclose(at.share, [[0.5, 1.0, 0.5, 1.0, 0.5]])
    assert false_alarms(facts, evidence, 0.5, ALONE).tolist() == [0.4]


def test_what_cannot_be_said_is_never_flagged() -> None:
    """Where a rule has too few evidence for a rate, it flags all it can and no session besides."""
    facts = one([case(course("." * 10))])
    evidence = np.array([-np.inf] * 9 + [1.0])
    at = thresholds(facts, evidence, ALONE, np.array([[0.5]]))
    assert at.at.tolist() == [[1.0]]
    assert at.share.tolist() == [[1.0]]


def at_all(at: Floats, share: Floats) -> dict[str, Thresholds]:
    return dict.fromkeys(SCOPES, Thresholds(at, share))


def test_sensitivity_counts_ties_by_chance() -> None:
    """Two tied sessions in a window, each flagged with chance a half: three quarters."""
    facts = one([case(course("..o.."))])
    evidence = np.array([0.0, 0, 1, 1, 0])
    caught = sensitivity(facts, evidence, ALONE, at_all(np.array([[1.0]]), np.array([[0.5]])))
    assert caught.within[0, 0, OVERALL] == pytest.approx(0.75)
    assert caught.within[0, 0, CELLS.index(("v", "2-4"))] == pytest.approx(0.75)
    assert np.isnan(caught.within[0, 0, CELLS.index(("slide", ALL))])


def test_cells_by_onset_are_at_equal_false_alarms_among_their_own_sessions() -> None:
    """A rule that cries late only gets no larger allowance there for having been silent before."""
    facts = one([case(course("." * 12)), case(course("..........o."))])
    evidence = np.concatenate((np.arange(12.0), [0.0] * 10, [10.5, 0]))
    draws = resamples(1, 2, 1)[:1]
    rates = np.array([[1 / 3]])
    at = {scope: thresholds(facts, evidence, draws, rates, scope) for scope in SCOPES}
    assert at[ALL].at[0, 0] < at["10+"].at[0, 0]
    caught = sensitivity(facts, evidence, draws, at)
    late = CELLS.index((ALL, "10+"))
    assert caught.one_threshold[0, 0, late] == 1.0
    assert caught.within[0, 0, late] == pytest.approx(float(evidence[22] > at["10+"].at[0, 0]))


def test_burden_by_hand() -> None:
    """One flag in the rupture, one in a client without any, of ten sessions."""
    facts = one([case(course("..o..")), case(course("....."))])
    evidence = np.array([0.0, 0, 0, 1, 0, 0, 1, 0, 0, 0])
    [seen] = burdens(facts, evidence, resamples(1, 2, 1)[:1], Thresholds(np.array([[0.5]]), np.array([[0.0]])), 1)
    assert seen.alerts_per_100[0] == pytest.approx(20)
    assert seen.predictive_value[0] == 0.0
    assert seen.clients_flagged[0] == pytest.approx(1.0)
    assert seen.delay[0] == 1
    assert np.isnan(seen.gradual_delay[0])


def test_a_resample_counts_a_client_as_often_as_drawn() -> None:
    """The whole computation on drawn weights equals the computation on a caseload with clients repeated."""
    cases = [Case((True,) * 4, (False, True) * 2, (Rupture(1, 2, "v"),), ruptured=True), case(course("....."))]
    draws = np.array([[1, 1], [2, 1]], np.uint8)
    facts, twice = one(cases), one([cases[0], cases[0], cases[1]])
    own, other = np.array([0, 3.0, 1, 2]), np.array([1, 0, 2, 2.5, 0])
    rates = np.full((2, 1), 0.2)
    at = thresholds(facts, np.append(own, other), draws, rates)
    again = thresholds(twice, np.concatenate((own, own, other)), resamples(1, 3, 1)[:1], rates[:1])
    assert (at.at[1, 0], at.share[1, 0]) == (again.at[0, 0], pytest.approx(again.share[0, 0]))


def test_the_bootstrap_covers() -> None:
    """95 % intervals hold the truth in about 95 % of caseloads, though a client's sessions go together."""
    rng = np.random.default_rng(5)
    held = 0
    for trial in range(200):
        flags = rng.binomial(6, rng.beta(2, 8, size=120)).astype(float)
        low, high = interval(weigh(resamples(trial, 120, 200), flags) / (120 * 6))[1:]
        held += low <= 0.2 <= high
    assert 0.89 <= held / 200 <= 0.99


def test_the_band_covers_all_at_once() -> None:
    """Of 20 columns without a difference, one or more lies outside the band in about 5 % of trials."""
    rng = np.random.default_rng(6)
    beaten = 0
    for trial in range(150):
        draws = resamples(trial, 80, 200)
        differences = rng.standard_normal((80, 20))
        band = simultaneous(weigh(draws, differences) / 80)
        beaten += bool((band.above | (band.high < 0)).any())
    assert beaten / 150 <= 0.12


@pytest.fixture(scope="module")
def small() -> Tried:
    return tried("typical", 150, (1, 2), cores=1)


def test_the_number_of_cores_is_no_parameter(small: Tried) -> None:
    """The same caseload and evidence on two cores as on one."""
    again = tried("typical", 150, (1, 2), cores=2)
    for name, evidence in small.evidence.items():
        np.testing.assert_array_equal(evidence, again.evidence[name])


def test_all_rules_are_compared_with_the_default_at_its_false_alarms(small: Tried) -> None:
    """Every other rule has its differences; a rule without a dial has them at its own rate."""
    found = compare(small, 30, cores=1)
    assert {each.rule for each in found.beside} == {rule.name for rule in small.rules[1:]}
    own = next(each for each in found.outcomes if each.name == "OpenFIT")
    beside = next(each for each in found.beside if each.rule == "OpenFIT" and (each.shape, each.band) == (ALL, ALL))
    assert beside.false_alarms == pytest.approx(own.false_alarms[0, 0])
    assert all(each.low <= each.difference <= each.high for each in found.beside)


def test_one_command_makes_the_table(tmp_path: Path) -> None:
    """Into the page between its marks, as JSON, with figures that are the same bytes every time."""
    page = tmp_path / "evaluation.md"
    begin, end = marks("table")
    page.write_text(f"before\n{begin}\nold\n{end}\nafter\n")
    size = ["table", "--clients", "60", "--seeds", "1-2", "--resamples", "20", "--cores", "1", "--figures"]
    first = CliRunner().invoke(app, [*size, str(tmp_path / "a"), "--write", str(page)])
    again = CliRunner().invoke(app, [*size, str(tmp_path / "b"), "--json"])
    assert (first.exit_code, again.exit_code) == (0, 0)
    written = page.read_text()
    assert "| Attune default |" in written
    assert "\nold\n" not in written
    assert (written.startswith("before\n"), written.endswith("after\n")) == (True, True)
    assert len(json.loads(again.stdout)["rules"]) == 22
    drawn = sorted(each.name for each in (tmp_path / "a").iterdir())
    assert drawn == ["sensitivity-by-false-alarms.svg", "sensitivity-by-shape.svg"]
    assert all((tmp_path / "a" / each).read_bytes() == (tmp_path / "b" / each).read_bytes() for each in drawn)


def test_a_page_without_marks_is_left_alone(tmp_path: Path) -> None:
    """The error says which marks to put where."""
    page = tmp_path / "page.md"
    page.write_text("text")
    with pytest.raises(NoPlaceForTheTableError, match="put the lines"):
        write_into(page, "table", "made")
    assert page.read_text() == "text"


def test_where_results_cannot_go_nothing_is_computed(tmp_path: Path) -> None:
    """A page without marks, or none at all, is told before the work, in a sentence."""
    bare = tmp_path / "bare.md"
    bare.write_text("text")
    for command, page in (("table", bare), ("further", tmp_path / "none.md")):
        result = CliRunner().invoke(app, [command, "--write", str(page)])
        assert result.exit_code == 1
        assert "Traceback" not in result.output


@pytest.mark.parametrize(("option", "value"), [("--seeds", "one"), ("--seeds", "9-1"), ("--clinic", "nowhere")])
def test_a_wrong_option_says_what_it_takes(option: str, value: str) -> None:
    """And nothing is computed."""
    result = CliRunner().invoke(app, ["table", option, value])
    assert result.exit_code == 2
    assert value in result.output


def rated(totals: tuple[float, ...], active: str) -> Course:
    return replace(course(active), totals=totals)


def test_a_repair_is_noticed_when_the_ratings_are_back() -> None:
    """Flagged at the fall, near the level before at the first session after it, confirmed by the second."""
    level = Rule("below 34", lambda course: (np.array(course.totals) < 34).astype(np.float64), dial=0.5)
    back = rated((38.0, 38, 30, 31, 38, 38, 38), "..ox...")
    away = rated((38.0, 38, 30, 31, 32, 32, 32), "..ox...")
    soon = rated((38.0, 38, 30, 38, 30, 38, 38), "..oxx..")
    unseen = rated((38.0, 38, 36, 38, 38, 38, 38), "..o....")
    assert follow(level, 0.5, [back, away, soon, unseen]) == [
        Followed(ended=1, early=0, at_once=1, confirmed=1),
        Followed(ended=1, early=0, at_once=0, confirmed=0),
        Followed(ended=1, early=1, at_once=1, confirmed=1),
        Followed(),
    ]
    shares = noticed([Followed(2, 0, 1, 1), Followed(2, 1, 2, 1)], resamples(1, 2, 20))
    assert (shares.ended, shares.early.estimate, shares.at_once.estimate) == (4, 0.25, 0.75)


def test_a_decline_falls_by_what_it_is_called() -> None:
    """From the fifth session on, so many points each; before it nothing but noise."""
    flat, falling = (np.array([each.totals for each in declines(1, 400, points)]) for points in (0.0, 1.0))
    np.testing.assert_array_equal(flat[:, :4], falling[:, :4])
    assert (flat - falling)[:, 11].mean() == pytest.approx(6.5, abs=1.0)  # of 8, the ceiling hides the rest
    never = Rule("never", lambda course: np.zeros(len(course.totals)), dial=0.5)
    assert told_of(never, 0.5, 20, 1.0).estimate == 0.0


def test_one_command_makes_the_further_tables() -> None:
    """Every dialled rule on declines and repairs, and every clinic."""
    made = CliRunner().invoke(app, ["further", "--clients", "50", "--fit", "0", "--cores", "1"])
    assert made.exit_code == 0
    assert all(f"| {clinic} |" in made.stdout for clinic in CLINICS)
