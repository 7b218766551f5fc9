"""Reliable and clinically significant change between two ratings, in the published variants.

Scores run upwards: a positive index is better. All six take the same two ratings; they differ in whether the first is
pulled to its mean (regression), in which standard error they divide by, and in what they ask about the second sample.

| name | change | divided by | source |
|---|---|---|---|
| Jacobson & Truax | post - pre | sqrt2 SD sqrt(1-r) | 1991, JCCP 59:12-19 |
| Gulliksen, Lord & Novick | (post - M) - r (pre - M) | SD sqrt(1-r^2) | as Hsu 1995 gives it |
| Hsu, Linn & Lord | (post - M_post) - r (pre - M) | SD sqrt(1-r^2) | Hsu 1989, 1995 |
| Edwards & Nunnally | post - (M + r (pre - M)) | SD sqrt(1-r) | Speer 1992 |
| Nunnally & Kotsch | post - (M + r (pre - M)) | sqrt(r^2 SD^2 (1-r) + SD^2 (1-r_post)) | 1983 |
| Hageman & Arrindell | as in the function | sqrt(r_dd) sqrt2 SD sqrt(1-r) | 1993, 1999 |

Formulas read in clinicalsignificance's tests (commit 7b2f20b); the papers themselves were not read.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Final, Literal

SIGNIFICANT: Final = 1.96
"""An index beyond this would be chance in 5 % of unchanged clients, both sides."""
Criterion = Literal["a", "b", "c"]
Change = Literal["recovered", "improved", "unchanged", "deteriorated", "harmed"]


@dataclass(frozen=True, slots=True)
class Sample:
    """People measured once: mean and SD in points, and the measure's reliability among them."""

    mean: float
    sd: float
    reliability: float

    def __post_init__(self) -> None:
        """An SD or reliability that makes no standard error is the caller's error."""
        if self.sd <= 0 or not 0 < self.reliability < 1:
            raise ValueError("a sample needs an SD above 0 and a reliability between 0 and 1; check the norms' source")


def measurement_error(sample: Sample) -> float:
    """Standard error of measurement, in points.

    >>> round(measurement_error(Sample(mean=0, sd=10.5, reliability=0.961)), 6)
    2.073584
    """
    return sample.sd * sqrt(1 - sample.reliability)


def difference_error(sample: Sample) -> float:
    """Standard error of the difference of two ratings, in points.

    >>> round(difference_error(Sample(mean=0, sd=10.5, reliability=0.961)), 5)
    2.93249
    """
    return sqrt(2) * measurement_error(sample)


def critical_change(sample: Sample) -> float:
    """The least change that is reliable by Jacobson and Truax, in points.

    >>> round(critical_change(Sample(mean=37, sd=4.5, reliability=0.88)), 1)
    4.3
    """
    return SIGNIFICANT * difference_error(sample)


def jacobson_truax(before: Sample, pre: float, post: float) -> float:
    """The classical index; one rating's error is all it knows.

    >>> round(jacobson_truax(Sample(mean=40, sd=7.5, reliability=0.80), pre=32.5, post=47.5), 4)
    3.1623
    """
    return (post - pre) / difference_error(before)


def gulliksen_lord_novick(before: Sample, pre: float, post: float) -> float:
    """The first rating regressed to its mean, against the error of prediction.

    >>> round(gulliksen_lord_novick(Sample(mean=5, sd=7, reliability=0.8), pre=30, post=2), 4)
    -5.4762
    """
    return (post - before.mean - before.reliability * (pre - before.mean)) / _prediction_error(before)


def hsu_linn_lord(before: Sample, mean_after: float, pre: float, post: float) -> float:
    """Likewise, allowing for the mean having moved.

    >>> round(hsu_linn_lord(Sample(mean=10, sd=5, reliability=0.8), mean_after=7, pre=30, post=3), 4)
    -6.6667
    """
    return (post - mean_after - before.reliability * (pre - before.mean)) / _prediction_error(before)


def edwards_nunnally(before: Sample, pre: float, post: float) -> float:
    """The estimated true first score, against the error of measurement.

    >>> round(edwards_nunnally(Sample(mean=10, sd=5, reliability=0.8), pre=30, post=2), 4)
    -10.7331
    """
    return (post - _true_score(before, pre)) / measurement_error(before)


def nunnally_kotsch(before: Sample, reliability_after: float, pre: float, post: float) -> float:
    """Likewise, with the second rating's own reliability.

    >>> round(nunnally_kotsch(Sample(mean=10, sd=5, reliability=0.8), reliability_after=0.8, pre=30, post=2), 4)
    -8.3812
    """
    first = before.reliability**2 * before.sd**2 * (1 - before.reliability)
    return (post - _true_score(before, pre)) / sqrt(first + before.sd**2 * (1 - reliability_after))


@dataclass(frozen=True, slots=True)
class Course:
    """Two measurements of the same people: `correlation` is that of the first with the second."""

    before: Sample
    mean_after: float
    sd_after: float
    correlation: float


def hageman_arrindell(course: Course, pre: float, post: float) -> float | None:
    """The observed change pulled to the mean change by the reliability of differences, `r_dd`; `None` if that is 0.

    >>> course = Course(Sample(mean=10, sd=5, reliability=0.8), mean_after=7, sd_after=6, correlation=0.6)
    >>> round(difference_reliability(course), 6), round(hageman_arrindell(course, pre=30, post=3), 4)
    (0.6, -7.1035)
    """
    reliability, before = difference_reliability(course), course.before
    if reliability <= 0:
        return None
    pulled = (post - pre) * reliability + (course.mean_after - before.mean) * (1 - reliability)
    return pulled / (sqrt(reliability) * difference_error(before))


def difference_reliability(course: Course) -> float:
    """How much of the variance of differences is true; both ratings with the first one's error of measurement."""
    before, shared = course.before, 2 * course.before.sd * course.sd_after * course.correlation
    error = measurement_error(before) ** 2
    true = (before.sd**2 - error) + (course.sd_after**2 - error) - shared
    return true / (before.sd**2 + course.sd_after**2 - shared)


def cutoff(criterion: Criterion, clinical: Sample, functional: Sample) -> float:
    """Where the functional range begins, in points of a scale that runs upwards (Jacobson & Truax 1991).

    `a`: 2 SD better than the clinical mean; `b`: 2 SD worse than the functional mean; `c`: equally likely in either.

    >>> clinical, functional = Sample(40, 7.5, 0.80), Sample(60, 7.5, 0.80)
    >>> [cutoff(each, clinical, functional) for each in ("a", "b", "c")]
    [55.0, 45.0, 50.0]
    """
    if criterion == "a":
        return clinical.mean + 2 * clinical.sd
    if criterion == "b":
        return functional.mean - 2 * functional.sd
    weighed = functional.sd * clinical.mean + clinical.sd * functional.mean
    return weighed / (functional.sd + clinical.sd)


def classify(index: float, pre: float, post: float, line: float) -> Change:
    """What the change amounts to: reliable or not, and whether the line was crossed with it.

    `recovered`: reliably better, from below the line to above it. `harmed`: reliably worse, from above to below.

    >>> classify(3.16, pre=32.5, post=47.5, line=50.0), classify(3.5, pre=44, post=60, line=50)
    ('improved', 'recovered')
    """
    if index > SIGNIFICANT:
        return "recovered" if pre <= line < post else "improved"
    if index < -SIGNIFICANT:
        return "harmed" if post <= line < pre else "deteriorated"
    return "unchanged"


def _prediction_error(sample: Sample) -> float:
    return sample.sd * sqrt(1 - sample.reliability**2)


def _true_score(sample: Sample, score: float) -> float:
    return sample.mean + sample.reliability * (score - sample.mean)
