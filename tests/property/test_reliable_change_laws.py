"""What every index of reliable change keeps, whatever the norms."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.scoring.domain import reliable
from services.scoring.domain.reliable import Course, Sample

LAW = settings(max_examples=40, deadline=None)
POINTS = st.integers(0, 400).map(lambda tenths: tenths / 10)
MEANS = st.integers(50, 350).map(lambda tenths: tenths / 10)
SDS = st.integers(10, 100).map(lambda tenths: tenths / 10)
RELIABILITIES = st.integers(50, 98).map(lambda hundredths: hundredths / 100)
COURSES = st.builds(Course, st.builds(Sample, MEANS, SDS, RELIABILITIES), MEANS, SDS, st.just(0.3))

Index = Callable[[Course, float, float], float | None]
VARIANTS: dict[str, Index] = {
    "JT": lambda course, pre, post: reliable.jacobson_truax(course.before, pre, post),
    "GLN": lambda course, pre, post: reliable.gulliksen_lord_novick(course.before, pre, post),
    "HLL": lambda course, pre, post: reliable.hsu_linn_lord(course.before, course.mean_after, pre, post),
    "EN": lambda course, pre, post: reliable.edwards_nunnally(course.before, pre, post),
    "NK": lambda course, pre, post: reliable.nunnally_kotsch(course.before, 0.8, pre, post),
    "HA": reliable.hageman_arrindell,
}
EVERY = pytest.mark.parametrize("variant", VARIANTS)


@EVERY
@LAW
@given(course=COURSES, pre=POINTS, posts=st.tuples(POINTS, POINTS))
def test_a_better_second_rating_is_a_greater_index(
    variant: str, course: Course, pre: float, posts: tuple[float, float]
) -> None:
    """From the same first rating; where there is no index there is none for either."""
    worse, better = (VARIANTS[variant](course, pre, post) for post in sorted(posts))
    assert (worse is None) == (better is None)
    assert worse is None or better is None or worse <= better


@EVERY
@LAW
@given(course=COURSES, pre=POINTS, post=POINTS)
def test_another_scale_gives_the_same_index(variant: str, course: Course, pre: float, post: float) -> None:
    """Twice as long and beginning at 16: norms and ratings moved alike, the index stays."""
    before = course.before
    moved = Course(
        Sample(16 + 2 * before.mean, 2 * before.sd, before.reliability),
        mean_after=16 + 2 * course.mean_after,
        sd_after=2 * course.sd_after,
        correlation=course.correlation,
    )
    here, there = VARIANTS[variant](course, pre, post), VARIANTS[variant](moved, 16 + 2 * pre, 16 + 2 * post)
    assert there == (None if here is None else pytest.approx(here, rel=1e-6, abs=1e-6))


@LAW
@given(pre=POINTS, post=POINTS, line=POINTS, index=st.floats(-5, 5))
def test_the_classes_are_mirror_images(pre: float, post: float, line: float, index: float) -> None:
    """Turned round, recovered is harmed and improved is deteriorated; only a reliable change is any of them."""
    turned = {"recovered": "harmed", "improved": "deteriorated", "unchanged": "unchanged"}
    turned |= {there: here for here, there in turned.items()}
    told = reliable.classify(index, pre, post, line)
    assert (told == "unchanged") == (abs(index) <= 1.96)
    if line not in (pre, post):
        assert reliable.classify(-index, -pre, -post, -line) == turned[told]


@LAW
@given(course=COURSES, further=MEANS)
def test_cut_off_c_lies_between_the_two_means(course: Course, further: float) -> None:
    """And nearer to the population that varies less."""
    functional = Sample(course.before.mean + further, course.sd_after, 0.9)
    line = reliable.cutoff("c", course.before, functional)
    assert course.before.mean < line < functional.mean
    nearer = line - course.before.mean <= functional.mean - line + 1e-9
    assert nearer or course.before.sd >= functional.sd
