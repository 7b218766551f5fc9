"""The laboratory's courses: appendix A as it was published, and what a variety adds to it."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from services.lab.clinics import CLINICS
from services.lab.generator import TYPICAL, Course, Variety, simulate
from services.lab.population import SHAPES, Population, Shape
from services.lab.truth import case
from services.lab.varied import UnsuitableInstrumentError

PUBLISHED = "1fdbaab3"


def fingerprint(courses: list[Course]) -> str:
    said = [(each.totals, each.items, each.ruptured, each.expressed, each.onset, each.dropped_out) for each in courses]
    return hashlib.sha256(repr(said).encode()).hexdigest()[:8]


def only(shape: Shape) -> Population:
    """Every rupture of one shape and one size, none concealed, nobody leaving."""
    variety = Variety(shapes=((shape, 1.0),), fall_spread=0.0, leaving=-50.0)
    return replace(TYPICAL, rupture_hazard=0.2, concealed_share=0.0, variety=variety)


def test_appendix_a_stays_as_it_was() -> None:
    """The courses of a seed are those of the specification, bit for bit: demo caseload and figures rest on them."""
    assert fingerprint(simulate(7, 300)) == PUBLISHED


def test_marginals_are_those_it_was_calibrated_on() -> None:
    """Mean 37.8, SD 2.8, 40/40 in 32 %, below 36 in 22 %, median 7 sessions, 27 % leave, 18 % ever ruptured."""
    courses = simulate(7, 2_000)
    totals = np.concatenate([course.totals for course in courses])
    seen = {
        "mean": totals.mean(),
        "sd": totals.std(),
        "perfect": (totals == 40).mean(),
        "below 36": (totals < 36).mean(),
        "sessions": np.median([len(course.totals) for course in courses]),
        "left": np.mean([course.dropped_out for course in courses]),
        "ruptured": np.mean([any(course.ruptured) for course in courses]),
    }
    wanted = {
        "mean": (37.8, 0.1),
        "sd": (2.8, 0.1),
        "perfect": (0.32, 0.015),
        "below 36": (0.22, 0.015),
        "sessions": (7, 0),
        "left": (0.27, 0.02),
        "ruptured": (0.18, 0.015),
    }
    assert {name: float(value) for name, value in seen.items()} == {
        name: pytest.approx(value, abs=within) for name, (value, within) in wanted.items()
    }


@pytest.mark.parametrize("name", CLINICS)
def test_every_clinic_is_the_same_every_time_and_on_its_scale(name: str) -> None:
    """A seed gives the same courses, in the range and on the steps of the instrument, labelled session by session."""
    population = CLINICS[name]
    courses = simulate(3, 60, population)
    assert courses == simulate(3, 60, population)
    assert courses != simulate(4, 60, population)
    high = 30 if name == "SAI" else 40
    for course in courses:
        assert all(0 <= total <= high for total in course.totals)
        assert len(course.totals) == len(course.shape) == len(course.onset) == len(course.falling) > 0
        assert [shape is not None for shape in course.shape] == list(course.ruptured)
        assert not any(shown and hidden for shown, hidden in zip(course.expressed, course.concealed, strict=True))


@pytest.mark.parametrize(
    ("shape", "falls", "lasts"),
    [("one-session", 1, 1), ("v", 1, 3), ("lasting", 1, None), ("staircase", (2, 3), None), ("slide", (3, 8), (3, 8))],
)
def test_a_shape_goes_as_it_is_called(
    shape: Shape, falls: int | tuple[int, int], lasts: int | tuple[int, int] | None
) -> None:
    """How many sessions a rupture takes to its lowest point, and how long it lasts."""
    for course in simulate(5, 60, only(shape)):
        for rupture in case(course).ruptures:
            sessions = len(course.totals)
            end = next((at for at in range(rupture.onset + 1, sessions) if course.onset[at]), sessions)
            falling = sum(course.falling[rupture.onset : min(end, rupture.last + 1)])
            low, high = falls if isinstance(falls, tuple) else (falls, falls)
            assert falling <= high
            assert falling >= low or rupture.last == sessions - 1
            if lasts is None:
                assert rupture.repaired_at is None or course.onset[rupture.repaired_at]
            elif rupture.repaired_at is not None:
                least, most = lasts if isinstance(lasts, tuple) else (lasts, lasts)
                assert least <= rupture.repaired_at - rupture.onset <= most


def test_shapes_come_in_their_shares() -> None:
    """Of many ruptures each shape has the share that the variety gives it, but for those therapy ends too early for."""
    courses = simulate(9, 700, replace(TYPICAL, rupture_hazard=0.07, variety=Variety(leaving=-50.0)))
    begun = [course.shape[at] for course in courses for at, begins in enumerate(course.onset) if begins]
    assert set(begun) == set(SHAPES)
    for shape, wanted in Variety().shapes:
        assert begun.count(shape) / len(begun) == pytest.approx(wanted, abs=0.06)


def test_ratings_may_be_missing_without_the_truth_being_lost() -> None:
    """An unrated session is not in the course; a rupture then begins where it is first rated, or not at all."""
    courses = simulate(3, 400, replace(only("v"), variety=replace(Variety(), unrated=0.4, shapes=(("v", 1.0),))))
    for course in courses:
        assert list(course.day) == sorted(set(course.day))
        began = np.cumsum(course.onset)
        assert all(began[at] > 0 for at, active in enumerate(course.ruptured) if active)


def test_therapists_clients_and_gaps_are_as_said() -> None:
    """Between therapists there is a difference, some clients change to another one, some always give the maximum."""
    variety = Variety(
        therapists=5, therapist_sd=3.0, transferred_share=0.5, constant_share=0.2, gaps=(7, 14), item_step=0.5
    )
    courses = simulate(3, 600, replace(TYPICAL, mean=34.0, rupture_hazard=0.0, variety=variety))
    constant = np.mean([all(total == 40 for total in course.totals) for course in courses])
    assert constant == pytest.approx(0.2, abs=0.05)
    assert {day for course in courses for day in np.diff(course.day).tolist()} == {7, 14}
    assert np.mean([len(set(course.therapist)) == 2 for course in courses]) > 0.2
    assert all(round(total / 0.5) == pytest.approx(total / 0.5) for course in courses for total in course.totals)
    means = [np.mean([course.totals[0] for course in courses if course.therapist[0] == each]) for each in range(5)]
    assert np.std(means) > 1.0


def test_only_alliance_measures_that_run_upwards_are_rated_with() -> None:
    """The error names the field, what it was and what to take."""
    with pytest.raises(UnsuitableInstrumentError, match=r"variety.instrument: 'phq-9@1' .* choose one such as 'srs@3'"):
        simulate(1, 1, replace(TYPICAL, variety=Variety(instrument="phq-9@1")))
