"""Off-track: outcomes that are not what was expected by now (rank 7), one alert for all of an episode's measures. Pure.

Reliably worse than at the beginning is red. Amber is what lies far below the usual course and is no better than the
beginning: of those below it alone, most are on their way. A measure that is fine for some scores is done with; the
alert then speaks of another one that is not, and is cleared when there is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from services.alerts.domain import counterfactual, wording
from services.alerts.domain.policy import Policy, Progress, Severity
from services.alerts.domain.record import Case, Number, Rated
from services.alerts.domain.wanted import Evidence, Wanted, alert_id

DETECTOR = "off-track"
KIND = "off-track"


def progress(policy: Policy, case: Case) -> Iterator[Wanted]:
    """What should be told of this episode's outcomes."""
    if policy.progress is None:
        return
    ratings = sorted((each for each in case.ratings if each.family == "outcome"), key=lambda each: each.place)
    yield from _fold(policy, policy.progress, case, ratings)


def severity(line: Progress, rated: Rated) -> Severity | None:
    """How loud this score alone is: nothing, amber or red."""
    number = rated.numbers.get(DETECTOR)
    if number is None:
        return None
    if number.of("deteriorated"):
        return "red"
    early = (number.of("scores") or 0) < line.from_scores
    far = number.value is not None and number.value >= line.below_sds
    return "amber" if far and not early and (number.of("worse_by") or 0.0) >= 0 else None


@dataclass(slots=True)
class _Trouble:
    """A measure that is worth a word: its worst score in this spell, and how many fine ones came since the latest."""

    worst: Rated
    severity: Severity
    calm: int = 0


@dataclass(slots=True)
class _Spell:
    """From the first score that is worth a word until no measure is."""

    alert: Wanted
    troubled: dict[tuple[str, str], _Trouble] = field(default_factory=dict)


def _fold(policy: Policy, line: Progress, case: Case, ratings: Sequence[Rated]) -> Iterator[Wanted]:
    spell: _Spell | None = None
    for rated in ratings:
        found = severity(line, rated)
        if found is not None:
            spell = spell or _Spell(_opened(policy, case, rated, found))
            yield from _goes_on(policy, case, spell, rated, found)
        elif spell is not None and rated.total is not None and _calms(policy, line, case, spell, rated):
            yield replace(spell.alert, state="cleared", why=f"no longer so for {line.calm_scores} scores in a row")
            spell = None
    if spell is not None:
        yield spell.alert


def _goes_on(policy: Policy, case: Case, spell: _Spell, rated: Rated, found: Severity) -> Iterator[Wanted]:
    """Amber becomes red; one that a person is done with comes back only if it does."""
    trouble = spell.troubled.setdefault(_measure(rated), _Trouble(rated, found))
    trouble.calm = 0
    if found == "red" and trouble.severity != "red":
        trouble.worst, trouble.severity = rated, found
    if found != "red" or spell.alert.severity == "red":
        return
    done = case.acts.get(spell.alert.alert_id, ())
    if any(each.act == "resolved" and each.at < rated.at for each in done):
        yield spell.alert
        spell.alert = _opened(policy, case, rated, found)
    else:
        spell.alert = _speaks_of(policy, case, spell.alert, trouble)


def _calms(policy: Policy, line: Progress, case: Case, spell: _Spell, rated: Rated) -> bool:
    """Whether this score, a fine one, is the last that the spell was waiting for."""
    trouble = spell.troubled.get(_measure(rated))
    if trouble is None:
        return False
    trouble.calm += 1
    if trouble.calm < line.calm_scores:
        return False
    del spell.troubled[_measure(rated)]
    left = sorted(spell.troubled.values(), key=lambda each: each.severity != "red")
    if left and spell.alert.evidence["instrument"] == rated.instrument:
        spell.alert = _speaks_of(policy, case, spell.alert, left[0])
    return not left


def _measure(rated: Rated) -> tuple[str, str]:
    return (rated.instrument, rated.rater)


def _speaks_of(policy: Policy, case: Case, alert: Wanted, trouble: _Trouble) -> Wanted:
    """The same alert, said by another score."""
    now = _opened(policy, case, trouble.worst, trouble.severity)
    why = "reliably worse than at the beginning" if now.severity == "red" else ""
    return replace(alert, severity=now.severity, why=why, reason=now.reason, evidence=now.evidence)


def _opened(policy: Policy, case: Case, rated: Rated, found: Severity) -> Wanted:
    number = rated.numbers[DETECTOR]
    rule = "deterioration" if found == "red" else "off-track"
    score = "" if rated.total is None else f" {wording.shown(rated.total)}"
    return Wanted(
        alert_id=alert_id(case.episode.episode_id, KIND, str(rated.rating_id), rule),
        kind=KIND,
        severity=found,
        state="open",
        rule=rule,
        reason=f"{wording.measure(rated.instrument)}{score}: {number.reason}",
        occurred_at=rated.at,
        historical=rated.historical,
        rating_id=rated.rating_id,
        session=rated.session,
        evidence=_evidence(policy, rated, number),
    )


def _evidence(policy: Policy, rated: Rated, number: Number) -> Evidence:
    assert policy.progress is not None
    escape = counterfactual.on_track(rated, number, policy.progress)
    found: dict[str, float | str | None] = {
        "instrument": rated.instrument,
        "total": rated.total,
        "expected": number.of("expected"),
        "worse_by": number.of("worse_by"),
        "reliable_change": number.of("reliable"),
        "below_usual_sds": number.value,
        "threshold": f"{policy.progress.below_sds:g} SD below and no better than at first, or reliably worse",
        "seen": number.reason,
        "policy": policy.name,
        "would_not_have_flagged": None if escape is None else wording.escape(escape, rated.better),
    }
    return {name: value for name, value in found.items() if value is not None}
