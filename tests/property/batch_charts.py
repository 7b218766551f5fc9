"""Each detector's number computed anew from all ratings at once: plain definitions, no state, no shortcuts.

`BATCH[name](config, scores)` is the evidence at the last of the scores.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import erfc, log, sqrt
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.scoring.domain import (
    cusum,
    drift,
    ewma,
    falls,
    individuals,
    off_track,
    openfit,
    own_cusum,
    own_runs,
    residuals,
    rolling,
    rupture,
    sequences,
    sudden,
)

Scores = Sequence[float]
Floats = NDArray[np.float64]


def _chance_below(value: float, means: Floats, sd: float) -> Floats:
    return np.array([0.5 * erfc((mean - value) / (sd * sqrt(2))) for mean in means])


def predictive_drop(config: rolling.Config, scores: Scores) -> float | None:
    """The posterior as a product of one likelihood a rating, on the grid, again for each rating."""
    theta = np.linspace(config.low - 4 * config.sw, config.high + 4 * config.sb, config.grid_points)
    weights, drop = np.exp(-((theta - config.mu0) ** 2) / (2 * config.sb**2)), None
    for place, score in enumerate(scores):
        weights = weights / weights.sum()
        tail = float(weights @ _chance_below(score + config.step / 2, theta, config.sw))
        drop = float(weights @ np.clip(theta, config.low, config.high)) - score if place else None
        if drop is None or tail >= config.gate_alpha or drop < config.gate_min_drop:
            weights = weights * _likelihood(config, theta, score)
    return drop


def _likelihood(config: rolling.Config, theta: Floats, score: float) -> Floats:
    half = config.step / 2
    if score >= config.high - half:
        return _chance_below(half - config.high, -theta, config.sw)
    if score <= config.low + half:
        return _chance_below(config.low + half, theta, config.sw)
    density: Floats = np.exp(-((score - theta) ** 2) / (2 * config.sw**2))
    return density


def rupture_evidence(config: rupture.Config, scores: Scores) -> float | None:
    """Both explanations' likelihoods as products over all ratings, on every level and spread of the grid."""
    if len(scores) < 2:
        return None
    nodes, chances = np.polynomial.hermite_e.hermegauss(3)
    first = max(config.low - 4 * config.sw, config.mu0 - 6 * config.sb)
    theta = np.linspace(first, min(config.high + 4 * config.sb, config.mu0 + 6 * config.sb), config.grid_points)
    level = np.tile(theta, 3)
    spread = np.repeat(config.sw * np.exp(config.sw_spread * nodes), config.grid_points)
    prior = np.repeat(chances, config.grid_points) * np.exp(-(((level - config.mu0) / config.sb) ** 2) / 2)

    def chance(score: float, at: Floats) -> Floats:
        if score >= config.high - config.step / 2:
            return _above(config.high - config.step / 2 - at, spread)
        if score <= config.low + config.step / 2:
            return _above(at - config.low - config.step / 2, spread)
        return np.array(np.exp(-(((score - at) / spread) ** 2) / 2) / spread)

    def unslid(window: int, points: float) -> float:
        before, since = scores[:-window], scores[-window:]
        raised = [_inside(each + points * (k + 1), level, spread) for k, each in enumerate(since)]
        return float((prior * np.prod([*(chance(each, level) for each in before), *raised], axis=0)).sum())

    past = prior * np.prod([chance(each, level) for each in scores[:-1]], axis=0)
    on_step = config.low + round((scores[-1] - config.low) / config.step) * config.step
    ordinary = float(past @ chance(on_step, level))
    falls, weights = np.polynomial.hermite_e.hermegauss(5)
    fallen = sum(
        weight / weights.sum() * float(past @ chance(on_step, level - config.fall * np.exp(config.fall_spread * fall)))
        for fall, weight in zip(falls, weights, strict=True)
    )
    recent = scores[-max(config.windows) :]
    ends = (config.low + config.step / 2, config.high - config.step / 2)
    slid = 0.0
    if all(ends[0] < each < ends[1] for each in recent) and scores[-1] <= recent[0]:
        slid = sum(
            unslid(window, points)
            for window in config.windows
            for points in config.slides
            if window <= min(len(recent), len(scores) - 1)
        )
    slid /= len(config.windows) * len(config.slides)
    return log(max(((1 - config.slide_share) * fallen + config.slide_share * slid) / ordinary, 1e-12))


def _inside(score: float, level: Floats, spread: Floats) -> Floats:
    return np.array(np.exp(-(((score - level) / spread) ** 2) / 2) / spread)


def _above(distance: Floats, spread: Floats) -> Floats:
    return np.array([0.5 * erfc(z / sqrt(2)) for z in distance / spread])


def reliable_drop(_: object, scores: Scores) -> float | None:
    return scores[-2] - scores[-1] if len(scores) > 1 else None


def _own_residual(config: residuals.Config | drift.Config, baseline: Scores, score: float) -> float:
    known, n = np.array(baseline), len(baseline)
    usual = (config.usual_ratings * config.usual + known.sum()) / (config.usual_ratings + n)
    own = (np.abs(np.diff(known)).mean() / 1.128) ** 2 if n > 1 else 0.0
    spread = sqrt((config.spread_ratings * config.spread**2 + (n - 1) * own) / (config.spread_ratings + n - 1))
    return float((score - usual) / spread / sqrt(1 + 1 / (config.usual_ratings + n)))


def own_usual(config: residuals.Config, scores: Scores) -> float | None:
    return -_own_residual(config, scores[:-1], scores[-1]) if len(scores) > 1 else None


def slow_drift(config: drift.Config, scores: Scores) -> float | None:
    """Appendix A of the domain brief, with the statistic in units of its own SD."""
    base, run, below = [scores[0]], list[float](), None
    for score in scores[1:]:
        run.append(min(_own_residual(config, base, score), config.upside_cap_sds))
        below = _smoothed_below(config.weight, run)
        if below > config.reset_at_sds:
            run = []
        else:
            base.append(score)
    return below


def _smoothed_below(weight: float, run: Scores) -> float:
    """The weighted mean of a run from 0, and its exact SD, each as a sum over the run."""
    weights = weight * (1 - weight) ** np.arange(len(run))[::-1]
    return float(-(weights @ np.array(run)) / sqrt((weights**2).sum()))


def known_ewma(config: ewma.Config, scores: Scores) -> float | None:
    run, below = list[float](), 0.0
    for score in scores:
        run.append((score - config.centre) / config.sigma)
        below = _smoothed_below(config.weight, run)
        run = [] if below > config.reset_at_sds else run
    return below


def known_cusum(config: cusum.Config, scores: Scores) -> float | None:
    return _greatest_sum(config, [(score - config.centre) / config.sigma for score in scores])


def _greatest_sum(config: cusum.Config, deviations: Scores) -> float:
    """The low sum is the greatest sum of a run that ends now, or 0: taken over all runs since it last started."""
    run, low = list[float](), 0.0
    for deviation in deviations:
        run.append(-deviation - config.allowance_sds)
        low = max(0.0, *(sum(run[first:]) for first in range(len(run))))
        run = [] if low > config.decision_sds else run
    return low


def own_sums(config: own_cusum.Config, scores: Scores) -> float | None:
    base, deviations, low = [scores[0]], list[float](), None
    for score in scores[1:]:
        deviations.append(_own_residual(config.usual, base, score))
        low = _greatest_sum(config.chart, deviations)
        if low <= config.chart.decision_sds:
            base.append(score)
    return low


def own_rules(config: own_runs.Config, scores: Scores) -> float | None:
    """Rules as sets of places: a window of so many that ends here, so many of them beyond."""
    if len(scores) < 2:
        return None
    below = np.array([-_own_residual(config.usual, scores[:n], scores[n]) for n in range(1, len(scores))])

    def beyond(sds: float, points: int, window: int) -> bool:
        far = below[-window:] > sds
        return len(below) >= window and bool(far[-1]) and int(far.sum()) >= points

    western = (beyond(3, 1, 1), beyond(2, 2, 3), beyond(1, 4, 5), beyond(0, 8, 8))
    falling = len(below) >= 6 and bool((np.diff(below[-6:]) > 0).all())
    return float(sum((*western, beyond(3, 1, 1), beyond(0, 9, 9), falling, beyond(2, 2, 3), beyond(1, 4, 5))))


def chart(config: individuals.Config, scores: Scores) -> float | None:
    past = np.array(scores[:-1])
    if len(past) < config.min_ratings:
        return None
    moves = np.abs(np.diff(past))
    own = moves.mean() / 1.128 if config.spread_by == "mean" else np.median(moves) / 0.954
    width = individuals.multiple(config.limit, len(past))
    return float((past.mean() - scores[-1]) / max(own, config.floor) / width)


def own_change(config: falls.Config, scores: Scores) -> float | None:
    past = scores[:-1]
    if not past:
        return None
    levels = [past[-1], float(np.median(past[-config.median_of :]))]
    levels += [float(np.mean(past[:3]))] if len(past) >= 3 else []
    return (max(levels) - scores[-1]) / config.critical


def deflection(config: sequences.Config, scores: Scores) -> float | None:
    """Trend and residual SD by least squares on the ratings before."""
    past = np.array(scores[:-1])
    if not len(past):
        return None
    slope, sd = 0.0, config.pooled_sd
    if len(past) >= config.own_from:
        line = np.polynomial.Polynomial.fit(np.arange(len(past)), past, 1).convert()
        left = past - line(np.arange(len(past)))
        slope = float(line.coef[1]) if len(line.coef) > 1 else 0.0
        sd = max(sd, sqrt(float((left**2).sum()) / (len(past) - 2)))
    return (float(past[-1]) - scores[-1] + slope) / sd


def sudden_loss(config: sudden.Config, scores: Scores) -> float | None:
    """The loss before the last three ratings, if all three criteria hold for it."""
    pre, post = np.array(scores[-6:-3]), np.array(scores[-3:])
    if len(pre) < 2:
        return 0.0
    points, freedom = float(pre[-1] - post[0]), len(pre) + 1
    pooled = sqrt(((len(pre) - 1) * pre.var(ddof=1) + 2 * post.var(ddof=1)) / freedom)
    t = {4: 2.776, 3: 3.182}[freedom]
    large = points > 0 and points >= config.cutoff and points >= config.share * (pre[-1] - config.zero)
    return points if large and pre.mean() - post.mean() > t * pooled else 0.0


def expected_response(config: off_track.Config, scores: Scores) -> float | None:
    """Domain brief 3.1, by its numbers: 19, 27, 8 and .45 of the ORS, in fortieths of the scale."""
    if len(scores) < 2:
        return None
    unit, share = (config.high - config.low) / 40, log(min(len(scores), 10)) / log(10)
    intake, last = ((each - config.low) / unit for each in (scores[0], scores[-1]))
    goal = 27 + 0.45 * (intake - 19)
    return (min(max(intake + (goal - intake) * share, 0.0), 40.0) - last) / (8 * sqrt(1 - 0.45**2) * sqrt(share))


def dashboard(config: openfit.Config, scores: Scores) -> float | None:
    fell = len(scores) > 1 and round(scores[-2] - scores[-1], 6) >= config.fall
    return float(scores[-1] < config.cutoff or fell)


BATCH: Final[dict[str, Callable[[Any, Scores], float | None]]] = {
    "rupture-evidence": rupture_evidence,
    "predictive-drop": predictive_drop,
    "reliable-drop": reliable_drop,
    "drift": slow_drift,
    "individuals-chart": chart,
    "individuals-chart-median": chart,
    "own-usual": own_usual,
    "own-change": own_change,
    "ewma": known_ewma,
    "cusum": known_cusum,
    "own-cusum": own_sums,
    "own-runs": own_rules,
    "sequences": deflection,
    "sudden-loss": sudden_loss,
    "off-track": expected_response,
    "openfit": dashboard,
}
