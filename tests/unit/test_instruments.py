"""The registry: every number has a source, and totals are what the manuals say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from math import inf, isclose, nan, sqrt

import pytest

from schemas.instruments import (
    Instrument,
    Scored,
    Source,
    UnknownInstrument,
    catalogue,
    index,
    lookup,
    risk_answers,
    score,
)
from schemas.instruments.scoring import Fault, rater_fault

EVERY = pytest.mark.parametrize("instrument", catalogue(), ids=lambda instrument: instrument.key)


def known(key: str) -> Instrument:
    found = lookup(key)
    assert isinstance(found, Instrument)
    return found


def scored(instrument: Instrument, items: dict[str, float | None], total: float | None = None) -> Scored:
    outcome = score(instrument, items, total)
    assert isinstance(outcome, Scored), outcome
    return outcome


def faults(instrument: Instrument, items: dict[str, float | None], total: float | None = None) -> tuple[Fault, ...]:
    outcome = score(instrument, items, total)
    assert isinstance(outcome, tuple)
    return outcome


def filled(instrument: Instrument, value: float, *, without: tuple[str, ...] = ()) -> dict[str, float | None]:
    return {item.code: None if item.code in without else value for item in instrument.items}


def parts(value: object) -> Iterator[object]:
    """Every dataclass within a definition, itself included."""
    if isinstance(value, tuple):
        for each in value:
            yield from parts(each)
    elif is_dataclass(value) and not isinstance(value, type):
        yield value
        for field in fields(value):
            if field.compare:
                yield from parts(getattr(value, field.name))


# ------------------------------------------------------------------------------------------------ the data


@EVERY
def test_every_number_has_a_source(instrument: Instrument) -> None:
    """Whatever in a definition holds a number says where that number is from and how far to trust it."""
    for part in parts(instrument):
        numbers = [
            field.name
            for field in fields(part)  # type: ignore[arg-type]  # parts() yields dataclasses
            if type(getattr(part, field.name)) in (int, float)
        ]
        source = getattr(part, "source", None)
        assert not numbers or (isinstance(source, Source) and source.text), (instrument.key, part)


@EVERY
def test_the_totals_range_is_what_the_items_give(instrument: Instrument) -> None:
    """The lowest answers give the lowest total, the highest the highest, reversed items turned round."""
    lowest = {item.code: item.scale.high if item.reversed else item.scale.low for item in instrument.items}
    highest = {item.code: item.scale.low if item.reversed else item.scale.high for item in instrument.items}
    assert scored(instrument, dict(lowest)).total == instrument.total.low
    assert scored(instrument, dict(highest)).total == instrument.total.high


@EVERY
def test_a_definition_is_consistent(instrument: Instrument) -> None:
    """Codes are unique, the missing rule can be met, priors and cut-offs lie on the scale."""
    codes = [item.code for item in instrument.items]
    assert len(set(codes)) == len(codes)
    assert instrument.missing.min_answered <= len(codes)
    assert set(instrument.missing.indispensable) <= set(codes)
    assert instrument.total.low <= instrument.prior.mu0 <= instrument.total.high
    assert min(instrument.prior.sb, instrument.prior.sw) > 0
    assert all(instrument.total.low <= cutoff.value <= instrument.total.high for cutoff in instrument.cutoffs)


@EVERY
def test_index_runs_from_the_bad_end_to_the_good(instrument: Instrument) -> None:
    """0 is the bad end and 100 the good one, whichever way the scale runs."""
    ends = (index(instrument, instrument.total.low), index(instrument, instrument.total.high))
    assert ends == ((0, 100) if instrument.direction == "up" else (100, 0))


def test_the_registry_is_the_agreed_one() -> None:
    """Eleven instruments, alliance and outcome; only SRS and ORS are score-only."""
    assert [instrument.key for instrument in catalogue()] == [
        *["srs@3", "ors@1", "wai-sr@5pt", "wai-sr@7pt", "wai-srt@5pt", "sai@1", "arm-5@1"],
        *["phq-9@1", "gad-7@1", "core-10@1", "wsas@1"],
    ]
    assert {instrument.key for instrument in catalogue() if instrument.score_only} == {"srs@3", "ors@1"}


def test_an_unknown_instrument_is_a_value_with_its_neighbours() -> None:
    """Looking up a misspelt key raises nothing and names what was probably meant."""
    assert lookup("phq9") == UnknownInstrument(("phq-9@1",))
    assert "srs@3" in UnknownInstrument(()).expected


def test_reliable_changes_follow_from_their_figures() -> None:
    """Critical difference 1.96 sqrt2 SD sqrt(1-r): 4.3 and 7.5 for the SRS, .91 for the ARM-5, 6.6 for the WAI-SR."""
    for sd, reliability, points in ((4.5, 0.88, 4.3), (4.5, 0.64, 7.5), (0.8, 0.83, 0.91), (8.4, 0.92, 6.6)):
        assert isclose(1.96 * sqrt(2) * sd * sqrt(1 - reliability), points, abs_tol=0.06)


# ----------------------------------------------------------------------------------------------- scoring


def test_tenths_do_not_leak() -> None:
    """0.1 + 0.2 is 0.3: totals are computed in whole steps."""
    srs = known("srs@3")
    answers = dict(zip((item.code for item in srs.items), (0.1, 0.2, 0.0, 0.0), strict=True))
    assert scored(srs, dict(answers)).total == 0.3
    assert scored(srs, filled(srs, 9.1)).total == 36.4


def test_a_value_beside_its_step_is_rounding_up_to_a_millionth() -> None:
    """What IEEE 754 does to a tenth passes; another decimal does not."""
    srs = known("srs@3")
    assert scored(srs, filled(srs, 0.1 + 0.2)).total == 1.2
    assert faults(srs, {"overall": 9.15})[0].code == "off-step"


def test_the_srs_needs_all_four() -> None:
    """With three of four lines there are facets, and a reason why there is no total."""
    srs = known("srs@3")
    outcome = scored(srs, filled(srs, 9.0, without=("overall",)))
    assert outcome.total is None
    assert outcome.facets == {"relationship": 9, "goals_and_topics": 9, "approach_or_method": 9, "overall": None}
    assert outcome.why_no_total == "3 of 4 items answered, 4 needed"


def test_core_10_prorates_one_missing_and_no_more() -> None:
    """Nine items summing to 18 give 20; with eight, or without the risk item, there is no total."""
    core = known("core-10@1")
    assert scored(core, filled(core, 2, without=("q10",))).total == 20
    assert scored(core, filled(core, 2, without=("q9", "q10"))).total is None
    assert scored(core, filled(core, 2, without=("q6",))).why_no_total == "item q6 is unanswered and never prorated"


def test_core_10_turns_two_items_round() -> None:
    """Items 2 and 3 are worded the good way: all at 4 is 32 of 40."""
    core = known("core-10@1")
    assert scored(core, filled(core, 4)).total == 32


def test_phq_9_prorates_two_missing() -> None:
    """Seven answers of 1 give 9; with six there is no total."""
    phq = known("phq-9@1")
    outcome = scored(phq, filled(phq, 1, without=("q8", "q9")))
    assert (outcome.total, outcome.prorated, outcome.answered) == (9, True, 7)
    assert scored(phq, filled(phq, 1, without=("q7", "q8", "q9"))).total is None


def test_the_wai_sr_needs_three_of_four_per_facet() -> None:
    """Ten answers are not enough when a facet has only two."""
    wai = known("wai-sr@5pt")
    assert scored(wai, filled(wai, 4, without=("q4", "q1"))).total == 48
    outcome = scored(wai, filled(wai, 4, without=("q4", "q6")))
    assert outcome.total is None
    assert outcome.facets == {"task": 16, "bond": 16, "goal": None}


def test_the_arm_5_is_a_mean_with_item_3_turned_round() -> None:
    """All at 7, the reversed item counting 1: 29 / 5."""
    arm = known("arm-5@1")
    assert scored(arm, filled(arm, 7)).total == 5.8


def test_a_total_alone_is_taken() -> None:
    """Where the clinic sends no items, its total counts, within range and on a step."""
    srs = known("srs@3")
    assert scored(srs, {}, 36.4).total == 36.4
    assert faults(srs, {}, 36.45)[0].code == "off-step"
    assert scored(known("phq-9@1"), {}, 12.857143).total == 12.857143


def test_a_total_that_is_not_its_items_is_a_fault() -> None:
    """A total beside items has to be theirs; a prorated one may be rounded in other ways."""
    srs, core = known("srs@3"), known("core-10@1")
    assert faults(srs, filled(srs, 9.0), 35.0)[0].code == "total-mismatch"
    assert scored(srs, filled(srs, 9.0), 36.0).total == 36
    assert scored(core, {**filled(core, 2, without=("q10",)), "q1": 3}, 21).total == 21.111111


@pytest.mark.parametrize(
    ("items", "total", "code", "place"),
    [
        ({"q1": 1.0}, None, "unknown-item", "q1"),
        ({"overall": 10.1}, None, "out-of-range", "overall"),
        ({"overall": -0.1}, None, "out-of-range", "overall"),
        ({"overall": nan}, None, "not-finite", "overall"),
        ({"overall": inf}, None, "not-finite", "overall"),
        ({"overall": 9.123}, None, "off-step", "overall"),
        ({}, 40.5, "out-of-range", None),
        ({}, nan, "not-finite", None),
        ({}, None, "nothing", None),
    ],
)
def test_a_fault_names_the_place_and_the_range_but_no_value(
    items: dict[str, float | None], total: float | None, code: str, place: str | None
) -> None:
    """Each wrong answer is one fault that says where and what was expected; the answer itself is not repeated."""
    (fault,) = faults(known("srs@3"), items, total)
    assert (fault.code, fault.item) == (code, place)
    assert fault.expected
    assert fault.low is None or (fault.low, fault.step) == (0, 0.1)


def test_every_fault_of_a_rating_is_told_at_once() -> None:
    """A clinic mends a form once, not once per fault."""
    assert [fault.code for fault in faults(known("srs@3"), {"overall": 11.0, "mood": 3.0})] == [
        "out-of-range",
        "unknown-item",
    ]


def test_a_rater_who_does_not_fill_it_in_is_a_fault() -> None:
    """The SRS is the client's, the WAI-SRT the therapist's, the ARM-5 both's."""
    assert rater_fault(known("srs@3"), "client") is None
    assert rater_fault(known("wai-srt@5pt"), "client") == Fault("wrong-rater", None, "rater therapist")
    assert rater_fault(known("arm-5@1"), "therapist") is None


def test_a_blank_form_is_no_fault_and_no_zero() -> None:
    """A form with every answer missing has no total, and says so."""
    gad = known("gad-7@1")
    outcome = scored(gad, filled(gad, 0, without=tuple(item.code for item in gad.items)))
    assert (outcome.total, outcome.answered) == (None, 0)


# -------------------------------------------------------------------------------------------------- risk


def test_only_two_items_in_the_registry_are_risk_items() -> None:
    """PHQ-9 item 9 and CORE-10 item 6: at 1 to a person, at 2 urgently."""
    marked = {
        (instrument.key, item.code, risk.threshold, risk.urgent)
        for instrument in catalogue()
        for item, risk in instrument.risk_items()
    }
    assert marked == {("phq-9@1", "q9", 1, 2), ("core-10@1", "q6", 1, 2)}


@pytest.mark.parametrize(("value", "urgent"), [(0.0, None), (None, None), (1.0, False), (2.0, True), (3.0, True)])
def test_a_risk_answer_is_told_from_1_on(value: float | None, urgent: bool | None) -> None:  # noqa: FBT001 - a table
    """0 and no answer raise nothing, 1 does, 2 is urgent; the rest of the form does not matter."""
    told = risk_answers(known("phq-9@1"), {"q9": value, "q1": 3.0})
    assert [answer.urgent for answer in told] == ([] if urgent is None else [urgent])
