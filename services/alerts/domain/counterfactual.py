"""What would not have been flagged: looked up in what was expected, not guessed."""

from __future__ import annotations

from math import ceil

from services.alerts.domain.policy import Progress, Rule
from services.alerts.domain.record import Number, Rated


def lowest_unflagged(rated: Rated, rule: Rule, number: Number) -> float | None:
    """The lowest total this rule would have let pass, or `None` where no single total decides.

    A predictive drop is flagged only when it is both improbable and large, so the easier of the two escapes counts.
    """
    if rated.total is None or number.value is None:
        return None
    if rule.detector == "rupture-evidence":
        return _rarer(rated, rule, number)
    if rule.detector == "predictive-drop":
        return _predictive(rated, rule, number)
    if rule.detector == "reliable-drop":
        previous = rated.total + number.value
        return _up(previous - rule.bounds[0].on(rated.span), rated.step, beyond=True)
    if rule.detector == "level" and rule.bounds[0].of == "crossed":
        return number.of("cutoff")  # conventions of alliance measures ask for at least so much
    return None


def on_track(rated: Rated, number: Number, line: Progress) -> float | None:
    """The worst total that would not have been off-track; in what follows, more is better.

    Not reliably worse than at first; and where the usual course is looked at, above its line or better than at first.
    """
    worse, reliable, expected = (number.of(name) for name in ("worse_by", "reliable", "expected"))
    if rated.total is None or worse is None or reliable is None:
        return None
    now = rated.better * rated.total
    least = _up(now + worse - reliable, rated.step, beyond=True)
    if expected is not None and number.value and (number.of("scores") or 0) >= line.from_scores:
        usual = rated.better * expected
        above = _up(usual - line.below_sds * (usual - now) / number.value, rated.step, beyond=True)
        least = max(least, min(above, _up(now + worse, rated.step, beyond=True)))
    return rated.better * least + 0.0


def _rarer(rated: Rated, rule: Rule, number: Number) -> float | None:
    """The lowest score that is not too rare, or not far enough below the usual: whichever is reached first."""
    rarity, size = rule.bounds[:2]
    ordinary, expected = number.of(f"ordinary_{rarity.threshold:g}"), number.of("expected")
    if ordinary is None or expected is None:
        return None
    return min(_up(ordinary, rated.step), _up(expected - size.on(rated.span), rated.step, beyond=True))


def _predictive(rated: Rated, rule: Rule, number: Number) -> float | None:
    tail, size = rule.bounds
    quantile = rated.quantiles.get(f"{tail.threshold:g}")
    expected = number.details.get("expected")
    if quantile is None or expected is None:
        return None
    large = _up(expected - size.on(rated.span), rated.step, beyond=True)
    return min(_up(quantile, rated.step), large)


def _up(value: float, step: float, *, beyond: bool = False) -> float:
    """The next score on the scale at or above a value, or strictly above it.

    >>> _up(33.33, 0.1), _up(33.3, 0.1, beyond=True), _up(4.0, 1.0)
    (33.4, 33.4, 4.0)
    """
    steps = ceil(round(value / step, 6))
    if beyond and abs(steps * step - value) < step * 1e-6:
        steps += 1
    return round(steps * step, 6)
