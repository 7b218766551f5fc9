"""Policies in words: what each says, and what changes from one to another. Thresholds are told on the SRS as well."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Final

from services.alerts.domain.policy import Bound, Escalation, Leaving, Policy, Progress, Recovery, Rule

Numbers = Escalation | Recovery | Progress | Leaving
SRS_RANGE: Final = 40
"""Points from the lowest to the highest total of the SRS."""
MEASURED: Final[Mapping[tuple[str, str], str]] = {
    ("rupture-evidence", "rate"): "the share of ordinary sessions as unusual as this one",
    ("rupture-evidence", "drop"): "how far the rating lies below the client's usual",
    ("rupture-evidence", "slide"): "the probability that it came as a slide",
    ("predictive-drop", "value"): "how far the rating lies below the client's usual",
    ("predictive-drop", "tail_probability"): "the probability of a rating as low as this",
    ("reliable-drop", "value"): "the fall since the session before",
    ("drift", "value"): "how many SD recent sessions together lie below the client's usual",
    ("level", "value"): "how many conventional prompts the rating gives",
    ("level", "crossed"): "totals on the bad side of the convention",
    ("level", "items_below"): "items on the bad side of the convention",
}
_SIGNS: Final = {"gt": "above", "ge": "at least", "lt": "below"}
_NAMES: Final[Mapping[str, str]] = {
    "signals": "signals that make an amber red",
    "of_sessions": "sessions among which those signals are counted",
    "low_index": "level (of 100) below which an amber is red at once",
    "unrepaired_sessions": "sessions without recovery after which an amber is red",
    "drop_share": "share of the drop that may be missing when it counts as recovered",
    "span_share": "share of the range that may be missing when it counts as recovered",
    "sessions": "recovered sessions in a row that clear an alert",
    "settled_sessions": "sessions at a new level that clear an alert",
    "below_sds": "SD below the usual course from such a beginning, without any gain, that are off-track",
    "from_scores": "scores of an outcome from which the usual course is looked at",
    "least_chance": "least chance of leaving within three sessions, where a clinic's own hazard reaches its line",
    "calm_scores": "scores in a row that are neither, which clear an off-track alert",
}


def told(policy: Policy) -> list[str]:
    """One policy, a sentence a line.

    >>> from services.alerts.domain.policy import OPENFIT
    >>> told(OPENFIT)[0]
    'openfit (rupture-possible): how many conventional prompts the rating gives above 0'
    """
    return [
        *map(rule_in_words, policy.rules),
        f"rated sessions from one alert of a kind to the next: {policy.cooldown_sessions}",
        *(f"{_NAMES[name]}: {value:g}" for name, value in _numbers(policy.escalation)),
        *(f"{_NAMES[name]}: {value:g}" for name, value in _numbers(policy.recovery)),
        f"a no-show before the third session is flagged: {_yes(policy.early_no_show)}",
        *_outcomes(policy.progress),
        *_leaving(policy.leaving),
    ]


def _leaving(leaving: Leaving | None) -> list[str]:
    told = f"a clinic's own hazard of dropout, where it has one, is read: {_yes(leaving is not None)}"
    return [told, *(f"{_NAMES[name]}: {value:g}" for name, value in (_numbers(leaving) if leaving else ()))]


def _outcomes(progress: Progress | None) -> list[str]:
    told = f"outcomes off-track, or reliably worse than at first, are flagged: {_yes(progress is not None)}"
    return [told, *(f"{_NAMES[name]}: {value:g}" for name, value in (_numbers(progress) if progress else ()))]


def rule_in_words(rule: Rule) -> str:
    """What sets a rule off.

    >>> from services.alerts.domain.policy import FALLBACK
    >>> rule_in_words(FALLBACK)
    'reliable-drop (rupture-possible): the fall since the session before at least 5 points (SRS); until the clinic has \
200 clients'
    """
    bounds = " and ".join(_bound(rule, bound) for bound in rule.bounds)
    retires = "" if rule.max_clients is None else f"; until the clinic has {rule.max_clients} clients"
    return f"{rule.name} ({rule.kind}): {bounds}{retires}"


def difference(old: Policy, new: Policy) -> list[str]:
    """What `new` does otherwise than `old`; nothing where they say the same.

    >>> from services.alerts.domain.policy import FIRST, HIGH_SENS
    >>> difference(FIRST, HIGH_SENS)
    ['reliable-drop retires: never instead of at 200 clients']
    """
    return [*_rules(old, new), *_terms(old, new)]


def _rules(old: Policy, new: Policy) -> Iterator[str]:
    before, after = ({rule.name: rule for rule in policy.rules} for policy in (old, new))
    yield from (f"no longer: {rule_in_words(rule)}" for name, rule in before.items() if name not in after)
    yield from (f"new: {rule_in_words(rule)}" for name, rule in after.items() if name not in before)
    common = [name for name in before if name in after]
    for name in common:
        yield from _rule(before[name], after[name])
    if [name for name in after if name in before] != common:
        yield f"which rule counts when several hold: {_listed(after)} instead of {_listed(before)}"


def _rule(old: Rule, new: Rule) -> Iterator[str]:
    measured = [(old.detector, each.of, each.comparison, each.unit) for each in old.bounds]
    if measured != [(new.detector, each.of, each.comparison, each.unit) for each in new.bounds]:
        yield f"{new.name}: {_bounds(new)} instead of {_bounds(old)}"
    else:
        pairs = zip(old.bounds, new.bounds, strict=True)
        yield from (f"{new.name}: {_bound(new, b)} instead of {_limit(a)}" for a, b in pairs if a != b)
    if old.kind != new.kind:
        yield f"{new.name} speaks of {new.kind} instead of {old.kind}"
    if old.max_clients != new.max_clients:
        yield f"{new.name} retires: {_retires(new)} instead of {_retires(old)}"


def _terms(old: Policy, new: Policy) -> Iterator[str]:
    if old.cooldown_sessions != new.cooldown_sessions:
        yield (
            f"rated sessions from one alert of a kind to the next: "
            f"{new.cooldown_sessions} instead of {old.cooldown_sessions}"
        )
    yield from _numbers_changed(old.escalation, new.escalation)
    yield from _numbers_changed(old.recovery, new.recovery)
    if old.early_no_show != new.early_no_show:
        yield f"a no-show before the third session is flagged: {_yes(new.early_no_show)}"
    if old.progress and new.progress:
        yield from _numbers_changed(old.progress, new.progress)
    elif old.progress != new.progress:
        yield from _outcomes(new.progress)
    if old.leaving and new.leaving:
        yield from _numbers_changed(old.leaving, new.leaving)
    elif old.leaving != new.leaving:
        yield from _leaving(new.leaving)


def _numbers_changed(old: Numbers, new: Numbers) -> Iterator[str]:
    for (name, before), (_, after) in zip(_numbers(old), _numbers(new), strict=True):
        if before != after:
            yield f"{_NAMES[name]}: {after:g} instead of {before:g}"


def _numbers(of: Numbers) -> list[tuple[str, float]]:
    return [(each.name, getattr(of, each.name)) for each in fields(of)]


def _bounds(rule: Rule) -> str:
    return " and ".join(_bound(rule, bound) for bound in rule.bounds)


def _bound(rule: Rule, bound: Bound) -> str:
    measured = MEASURED.get((rule.detector, bound.of), f"{bound.of.replace('_', ' ')} of {rule.detector}")
    return f"{measured} {_SIGNS[bound.comparison]} {_limit(bound)}"


def _limit(bound: Bound) -> str:
    return f"{bound.on(SRS_RANGE):g}{' points (SRS)' if bound.unit == 'span' else ''}"


def _retires(rule: Rule) -> str:
    return "never" if rule.max_clients is None else f"at {rule.max_clients} clients"


def _listed(names: Iterable[str]) -> str:
    return ", then ".join(names)


def _yes(holds: bool) -> str:  # noqa: FBT001 - a word for it
    return "yes" if holds else "no"
