"""What a hazard of dropout and an expected response promise, whatever the course and the coefficients."""

from __future__ import annotations

from math import exp, isclose, log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.instruments import Instrument, lookup
from services.scoring.domain import hazard, off_track
from services.scoring.domain.hazard import FEATURES, Cause, Ended, Features, Gate, HazardModel

LAW = settings(max_examples=40, deadline=None)
SRS = hazard.Config(usual=38.0, unit=1.0)
SHARE = st.floats(0, 1)
RATED = st.none() | st.tuples(st.integers(0, 80).map(lambda half: half / 2), st.none() | SHARE)
ENDED = st.builds(
    Ended,
    session=st.just(1),
    rated=st.just(False),
    gap_days=st.none() | st.floats(0, 120),
    missed_of_last_three=st.none() | st.integers(0, 3),
    next_booked=st.none() | st.booleans(),
    off_track=st.none() | st.floats(-3, 3),
)
Course = list[tuple[tuple[float, float | None] | None, Ended]]
COURSE = st.lists(st.tuples(RATED, ENDED), min_size=1, max_size=9)
WEIGHT = st.floats(-2, 2)
CAUSE = st.builds(
    Cause,
    first=st.tuples(*[st.floats(-6, 1)] * 6),
    later=st.floats(-6, 1),
    slope=WEIGHT,
    weights=st.tuples(*[WEIGHT] * len(FEATURES)),
)
OPEN = Gate(closed_episodes=300, auc_low=0.61, slope=1.0)
MODEL = st.builds(
    HazardModel,
    features=st.just(FEATURES),
    means=st.just((0.5,) * len(FEATURES)),
    scales=st.just((2.0,) * len(FEATURES)),
    dropout=CAUSE,
    other_end=CAUSE,
    gate=st.just(OPEN),
)


def followed(course: Course) -> list[Features]:
    state, told = hazard.start(SRS), []
    for session, (rated, ended) in enumerate(course, start=1):
        state = hazard.step(SRS, state, *rated) if rated else state
        told.append(hazard.features(SRS, state, ended._replace(session=session, rated=rated is not None)))
    return told


def told(model: HazardModel, features: Features) -> hazard.Hazard:
    found = hazard.predict(model, features)
    assert isinstance(found, hazard.Hazard)
    return found


@LAW
@given(course=COURSE, later=COURSE)
def test_features_never_see_the_future(course: Course, later: Course) -> None:
    """Whatever comes after a session changes nothing of what was known when it ended."""
    assert followed([*course, *later])[: len(course)] == followed(course)


@LAW
@given(course=COURSE, model=MODEL)
def test_contributions_sum_to_the_logit(course: Course, model: HazardModel) -> None:
    """What every feature adds, and the session's own, is all there is."""
    for features in followed(course):
        found = told(model, features)
        assert [name for name, _ in found.contributions] == ["session", *FEATURES]
        logit = sum(value for _, value in found.contributions)
        assert found.next == pytest.approx(1 / (1 + exp(-logit)))


@LAW
@given(course=COURSE, model=MODEL)
def test_chances_are_chances(course: Course, model: HazardModel) -> None:
    """Between 0 and 1, and leaving within three sessions is never less likely than leaving now."""
    found = told(model, followed(course)[-1])
    assert 0 < found.next <= found.within_three < 1 + 1e-12


@LAW
@given(course=COURSE, model=MODEL)
def test_other_ends_compete(course: Course, model: HazardModel) -> None:
    """Where care likelier ends otherwise, fewer are left to drop out later; the next session is not concerned."""
    raised = tuple(each + 3 for each in model.other_end.first)
    other = Cause(raised, model.other_end.later + 3, model.other_end.slope, model.other_end.weights)
    more = HazardModel(FEATURES, model.means, model.scales, model.dropout, other, OPEN)
    here, there = (told(each, followed(course)[-1]) for each in (model, more))
    assert here.next == there.next
    assert there.within_three <= here.within_three + 1e-12


@LAW
@given(course=COURSE, model=MODEL)
def test_what_is_not_known_adds_nothing(course: Course, model: HazardModel) -> None:
    """A feature that is not known is as if at its mean, not at 0."""
    features = followed(course)[-1]
    shares = dict(told(model, features).contributions)
    for name in FEATURES:
        assert getattr(features, name) is not None or shares[name] == 0.0


def test_a_model_that_has_not_passed_says_nothing_and_why() -> None:
    """Too few episodes, too little told apart, or chances that are not true: each keeps it off."""
    flat = Cause((-3.0,) * 6, -3.0, 0.0, ())
    shut = HazardModel((), (), (), flat, flat, Gate(closed_episodes=299, auc_low=0.6, slope=0.79))
    found = hazard.predict(shut, followed([((38.0, None), Ended(1, rated=True))])[0])
    assert isinstance(found, hazard.Off)
    assert len(found.reasons) == 3


def test_coefficients_that_do_not_fit_together_are_refused() -> None:
    """A weight too few, a feature nobody knows, a scale of 0: found before anybody is judged by it."""
    flat = Cause((-3.0,) * 6, -3.0, 0.0, (0.1,))
    for features, scale in ((("fall", "late"), 1.0), (("age",), 1.0), (("fall",), 0.0)):
        with pytest.raises(ValueError, match=r"one mean|scales"):
            HazardModel(features, (0.0,), (scale,), flat, flat, OPEN)


def test_no_protected_attribute_has_a_place() -> None:
    """The features are about the care: who somebody is has no name here."""
    assert not {"age", "sex", "gender", "ethnicity", "religion", "employment", "diagnosis"} & set(FEATURES)


# ------------------------------------------------------------------ off-track

MEASURES = [lookup(key) for key in ("ors@1", "phq-9@1", "gad-7@1", "core-10@1")]


@pytest.mark.parametrize("measure", MEASURES, ids=lambda each: each.key)
@LAW
@given(intake=SHARE, pair=st.tuples(SHARE, SHARE), sessions=st.integers(1, 12))
def test_a_lower_score_is_never_less_off_track(
    measure: Instrument, intake: float, pair: tuple[float, float], sessions: int
) -> None:
    """After the same beginning and as many sessions."""
    lower, higher = (_last(measure, [intake] * sessions + [each]) for each in sorted(pair))
    assert (lower.below_sds is None) == (higher.below_sds is None)
    assert lower.below_sds is None or higher.below_sds is None or lower.below_sds >= higher.below_sds - 1e-9
    assert lower.deteriorated >= higher.deteriorated


@LAW
@given(intake=st.floats(0, 24), score=st.floats(0, 40), session=st.integers(2, 15))
def test_the_reading_is_the_formula(intake: float, score: float, session: int) -> None:
    """Online, with two numbers of state, it is what the brief's formula gives at once."""
    found = _last(lookup("ors@1"), [intake / 40] * (session - 1) + [score / 40])  # type: ignore[arg-type]  # known
    share = log(min(session, 10)) / log(10)
    middle = intake + (27 + 0.45 * (intake - 19) - intake) * share
    assert found.expected is not None
    assert isclose(found.expected, middle, abs_tol=1e-9)
    assert found.below_sds == pytest.approx((middle - score) / (8 * (1 - 0.45**2) ** 0.5 * share**0.5))


def test_who_begins_above_the_cut_off_is_not_expected_to_gain() -> None:
    """Only reliable deterioration is told of them: 5 points on the ORS."""
    ors = lookup("ors@1")
    assert isinstance(ors, Instrument)
    for score, worse in ((31.0, False), (27.0, True)):
        found = _last(ors, [32 / 40, score / 40])
        assert (found.track, found.below_sds, found.deteriorated) == ("no gain expected", None, worse)


def test_one_score_is_too_early() -> None:
    """Two are needed."""
    ors = lookup("ors@1")
    assert isinstance(ors, Instrument)
    assert _last(ors, [0.4]).track == "too early"


def _last(measure: Instrument, shares: list[float]) -> off_track.Reading:
    config = off_track.shipped(measure)
    state = off_track.start(config)
    for share in shares:
        state, reading = off_track.step(config, state, config.low + share * (config.high - config.low))
    return reading
