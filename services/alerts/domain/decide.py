"""Decisions: a pure fold over an episode's latest readings, what people did, and the clinic's now.

What should stand is worked out anew from everything known, so the order in which readings came does not matter: the
same readings, acts and now end in the same alerts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from services.alerts.domain import wording
from services.alerts.domain.absence import absence
from services.alerts.domain.counterfactual import lowest_unflagged
from services.alerts.domain.leaving import leaving
from services.alerts.domain.policy import Policy, Rule, live_rules
from services.alerts.domain.progress import DETECTOR as OFF_TRACK
from services.alerts.domain.progress import progress, severity
from services.alerts.domain.record import Case, Done, Number, Rated
from services.alerts.domain.wanted import Evidence, Wanted, alert_id


@dataclass(frozen=True, slots=True)
class _Fired:
    """A rule that a rating sets off."""

    rule: Rule
    rated: Rated
    number: Number


@dataclass(frozen=True, slots=True)
class _Moment:
    """One rating in the fold: in which session of the episode, and what it sets off."""

    rated: Rated
    session: int
    fired: _Fired | None


@dataclass(frozen=True, slots=True)
class _Course:
    """One kind of alert through the episode's sessions."""

    alerts: tuple[Wanted, ...] = ()
    opened_at_session: int | None = None
    before: float = 0.0
    drop: float = 0.0
    instrument: tuple[str, str] = ("", "")
    signals: tuple[int, ...] = ()
    recovered: int = 0
    settled: int = 0
    since_opened: int = 0


def fires(policy: Policy, rated: Rated, clients: int) -> bool:
    """Whether this rating alone sets off any live rule: whoever asks may skip the fold where none does."""
    return set_off(policy, rated, clients) is not None


def set_off(policy: Policy, rated: Rated, clients: int) -> str | None:
    """The name of the rule that this rating alone sets off: the first one, in the order of the policy."""
    if rated.family == "outcome":
        return OFF_TRACK if policy.progress and severity(policy.progress, rated) else None
    fired = _first(live_rules(policy, clients), rated)
    return fired.rule.name if fired else None


def decide(policy: Policy, case: Case) -> tuple[Wanted, ...]:
    """Every alert this episode should have had, with the state it should have now."""
    ratings = sorted((each for each in case.ratings if each.family == "alliance"), key=lambda rated: rated.place)
    rules = live_rules(policy, case.clients)
    kinds = dict.fromkeys(rule.kind for rule in rules)
    fired = [_first(rules, rated) for rated in ratings]
    folded = [alert for kind in kinds for alert in _fold(policy, case, ratings, _of_kind(fired, kind))]
    absent = tuple(absence(policy, case)) or tuple(leaving(policy, case))
    return (*(_ended(alert, case) for alert in (*folded, *progress(policy, case))), *absent)


# --------------------------------------------------------------------------------------------- ratings


def _first(rules: Sequence[Rule], rated: Rated) -> _Fired | None:
    """The first rule, in the order of the policy, that a rating sets off: one rating is one thing to talk about."""
    return next((found for rule in rules if (found := _fired(rule, rated))), None)


def _of_kind(fired: Sequence[_Fired | None], kind: str) -> list[_Fired | None]:
    return [each if each is not None and each.rule.kind == kind else None for each in fired]


def _fold(policy: Policy, case: Case, ratings: Sequence[Rated], fired: Sequence[_Fired | None]) -> tuple[Wanted, ...]:
    course = _Course()
    places: dict[str, int] = {}
    for rated, each in zip(ratings, fired, strict=True):
        session = places.setdefault(rated.session, len(places) + 1)
        course = _step(policy, case, course, _Moment(rated, session, each))
    return course.alerts


def _fired(rule: Rule, rated: Rated) -> _Fired | None:
    number = rated.numbers.get(rule.detector)
    if number is None:
        return None
    values = [(bound, number.of(bound.of)) for bound in rule.bounds]
    hold = all(value is not None and bound.holds(value, rated.span) for bound, value in values)
    return _Fired(rule, rated, number) if hold else None


def _step(policy: Policy, case: Case, course: _Course, now: _Moment) -> _Course:
    rated, session, fired = now.rated, now.session, now.fired
    standing = _standing(course, case, rated.at)
    if fired is None:
        return _recover(policy, course, rated) if standing else course
    course = replace(course, signals=(*course.signals, session))
    if standing:
        return _worsen(policy, replace(course, recovered=0, settled=0), rated, session)
    if course.opened_at_session is not None and session - course.opened_at_session < policy.cooldown_sessions:
        return course
    return _worsen(policy, _open(policy, case, course, fired, session), rated, session)


def _standing(course: _Course, case: Case, at: datetime) -> bool:
    """Whether the latest alert still stands when this rating is given: not cleared, not resolved by then."""
    if not course.alerts or course.alerts[-1].state == "cleared":
        return False
    resolved = _resolved_at(case.acts.get(course.alerts[-1].alert_id, ()))
    return resolved is None or at <= resolved


def _resolved_at(done: Iterable[Done]) -> datetime | None:
    return min((each.at for each in done if each.act == "resolved"), default=None)


def _open(policy: Policy, case: Case, course: _Course, fired: _Fired, session: int) -> _Course:
    rated, number, rule = fired.rated, fired.number, fired.rule
    before = _level_before(rated, number)
    new = Wanted(
        alert_id=alert_id(case.episode.episode_id, rule.kind, str(rated.rating_id), rule.name),
        kind=rule.kind,
        severity="amber",
        state="open",
        rule=rule.name,
        reason=wording.reason(rated, rule, number),
        occurred_at=rated.at,
        historical=rated.historical,
        rating_id=rated.rating_id,
        session=rated.session,
        evidence=_evidence(policy, fired, session),
    )
    return replace(
        course,
        alerts=(*course.alerts, new),
        opened_at_session=session,
        before=before,
        drop=0.0 if rated.total is None else max(0.0, before - rated.total),
        instrument=(rated.instrument, rated.rater),
        recovered=0,
        settled=0,
        since_opened=0,
    )


def _level_before(rated: Rated, number: Number) -> float:
    """Where this client was: what was expected, the usual, or the session before."""
    known = (number.details.get(name) for name in ("expected", "usual"))
    fall = (rated.total or 0.0) + (number.value or 0.0)
    return next((level for level in known if level is not None), fall)


def _evidence(policy: Policy, fired: _Fired, session: int) -> Evidence:
    """The inputs, the rule, the threshold, the value, and what would not have been flagged."""
    rated, rule, number = fired.rated, fired.rule, fired.number
    found: dict[str, float | str | None] = {
        "instrument": rated.instrument,
        "session_number": float(session),
        "total": rated.total,
        "value": number.value,
        **dict(number.details),
        "threshold": wording.threshold(rule, rated.span),
        "seen": number.reason,
        "policy": policy.name,
    }
    escape = lowest_unflagged(rated, rule, number)
    if escape is not None:
        found["would_not_have_flagged"] = wording.escape(escape)
    return {name: value for name, value in found.items() if value is not None}


def _worsen(policy: Policy, course: _Course, rated: Rated, session: int) -> _Course:
    """Amber becomes red by persistence, or at a very low level."""
    escalation = policy.escalation
    recent = [at for at in course.signals if at > session - escalation.of_sessions]
    if len(set(recent)) >= escalation.signals:
        return _redden(course, f"{len(set(recent))} signals in {escalation.of_sessions} sessions")
    if rated.index is not None and rated.index < escalation.low_index:
        return _redden(course, f"at {wording.shown(rated.index)} of 100")
    return course


def _redden(course: _Course, why: str) -> _Course:
    last = course.alerts[-1]
    if last.severity != "amber":
        return course
    return replace(course, alerts=(*course.alerts[:-1], replace(last, severity="red", why=why)))


def _recover(policy: Policy, course: _Course, rated: Rated) -> _Course:
    """Back near the level before, often enough, or settled: it no longer holds. Not back for some sessions: red."""
    if (rated.instrument, rated.rater) != course.instrument or rated.total is None:
        return course
    recovery, total = policy.recovery, wording.shown(rated.total)
    near = course.before - max(recovery.span_share * rated.span, recovery.drop_share * course.drop)
    back = rated.total >= near
    course = replace(
        course,
        recovered=course.recovered + 1 if back else 0,
        settled=course.settled + 1 if _as_expected(rated, recovery.span_share) else 0,
        since_opened=course.since_opened + 1,
    )
    if course.recovered >= recovery.sessions:
        return _clear(course, f"back at {total}, {course.recovered} sessions in a row")
    if course.settled >= recovery.settled_sessions:
        return _clear(course, f"settled at about {total} for {course.settled} sessions")
    late = not back and course.since_opened >= policy.escalation.unrepaired_sessions
    return _redden(course, f"not back after {course.since_opened} sessions") if late else course


def _as_expected(rated: Rated, span_share: float) -> bool:
    """Whether the rating is about what is by now expected of this client."""
    number = rated.numbers.get("predictive-drop")
    return number is not None and number.value is not None and number.value < span_share * rated.span


def _clear(course: _Course, why: str) -> _Course:
    return replace(course, alerts=(*course.alerts[:-1], replace(course.alerts[-1], state="cleared", why=why)))


def _ended(alert: Wanted, case: Case) -> Wanted:
    """What absence adds, and what the end of care takes away."""
    episode = case.episode
    if not episode.is_open and alert.state == "open":
        return replace(alert, state="cleared", why="this course of care has ended")
    stayed_away = any(at > alert.occurred_at for at in episode.missed_at)
    if stayed_away and alert.state == "open" and alert.severity == "amber":
        return replace(alert, severity="red", why="the client did not come to a session since")
    return alert
