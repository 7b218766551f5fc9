"""One client's care lived through again: what each policy would have said, from what was known then. Pure.

The very code the services run: facts go through `services.scoring.domain.episode`, readings through
`services.alerts.domain.decide`. Facts that came in the order of care are taken together; before whatever changes the
past (an amendment, a late rating) the decisions are made that would have been made then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple, cast
from uuid import UUID

from schemas.events import Reading as Told
from services.alerts.adapters.contracts import rated_of
from services.alerts.domain.decide import decide, set_off
from services.alerts.domain.policy import Policy
from services.alerts.domain.record import Case, Episode, Forecast, Rated
from services.alerts.domain.wanted import Wanted
from services.lab.backtest import textbook
from services.lab.backtest.chances import chances
from services.lab.backtest.source import Known
from services.scoring.domain import episode, leaving
from services.scoring.domain.config import EngineConfig
from services.scoring.domain.episode import EpisodeState, Snapshot
from services.scoring.domain.facts import DAY, RATINGS, Fact
from services.scoring.domain.series import Reading
from services.scoring.domain.signals import Signal
from services.scoring.wire import moment

_QUIET: Final = 21 * DAY
"""No silence is worth a word before that."""


class Session(NamedTuple):
    """A session whose alliance the client rated; `spoke`: of each policy, the rule set off when it was first known."""

    at: int
    clinician: str | None
    instrument: str
    total: float | None
    spoke: tuple[str | None, ...]


@dataclass(slots=True)
class Lived:
    """One course of care: its sessions in the order of care, and every alert of each policy."""

    client: str
    episode: str | None
    sessions: list[Session] = field(default_factory=list)
    alerts: tuple[dict[UUID, Wanted], ...] = ()
    clinicians: set[tuple[str | None, int]] = field(default_factory=set)
    """Who worked with the client in which week (counted from 1970)."""
    ratings: int = 0
    """Of all instruments and raters."""
    closed: bool = False
    """Whether the record says that it ended."""
    foretold: tuple[float, ...] = ()
    """At the end of each session: how likely the clinic's hazard, if it has one, held it to be the last by dropout."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a course is lived under."""

    engine: EngineConfig
    policies: tuple[Policy, ...]
    clients: int
    until: int
    """When the record ends: whoever was silent by then was silent."""
    textbook: tuple[str, ...] = ()
    """Rules beside the policies, after them in every order (`textbook`)."""


class _Form(NamedTuple):
    """A reading as `rated_of` wants it."""

    rating_id: UUID
    session_id: UUID | None
    instrument: str
    rater: str
    occurred_at: datetime | None
    total: float | None
    index: float | None  # type: ignore[assignment]  # tuple.index gives way to the reading's own field
    signals: tuple[Signal, ...]
    expected: object
    historical: bool
    recorded_at: datetime | None = None


def lived(known: Known, terms: Terms) -> list[Lived]:
    """Every course of one client."""
    by_episode: dict[str, list[Fact]] = {}
    for where, fact in known.facts:
        by_episode.setdefault(where, []).append(fact)
    return [_Life(known.client, known.names.get(where), terms).of(facts) for where, facts in by_episode.items()]


class _Life:
    """The fold over one course."""

    def __init__(self, client: str, name: str | None, terms: Terms) -> None:
        self._terms = terms
        self._said: dict[UUID, tuple[str | None, ...]] = {}
        self._rated: dict[UUID, tuple[Reading, Rated]] = {}
        self._alerts: tuple[dict[UUID, Wanted], ...] = tuple({} for _ in terms.policies)
        self._lived = Lived(client, name)

    def of(self, facts: Sequence[Fact]) -> Lived:
        state, snapshot = episode.start(self._terms.engine), None
        self._lived.foretold = chances(self._terms.engine, facts)
        for run in runs(facts, by_session=self._terms.engine.hazard is not None):
            if snapshot is not None:
                self._decide(snapshot, run[0].recorded_at)
            state, snapshot = self._take(state, run)
            self._decide(snapshot, snapshot.known_at)
        if snapshot is not None:
            self._decide(snapshot, max(self._terms.until, snapshot.known_at))
        return self._told(state, closed=snapshot is not None and snapshot.status != "open")

    def _take(self, state: EpisodeState, run: Sequence[Fact]) -> tuple[EpisodeState, Snapshot]:
        after, result = episode.step(self._terms.engine, state, run)
        assert result is not None  # a run holds at least one fact
        for reading in result.readings:
            self._read(reading)
        for gone in result.withdrawn:
            self._rated.pop(UUID(gone), None)
        return after, result.snapshot

    def _read(self, reading: Reading) -> None:
        rated = rated_of(cast("Told", _form(reading)))
        if rated is None:
            return
        self._rated[rated.rating_id] = (reading, rated)
        if rated.rating_id not in self._said:
            self._said[rated.rating_id] = tuple(
                [set_off(policy, rated, self._terms.clients) for policy in self._terms.policies]
            )

    def _decide(self, snapshot: Snapshot, now: int) -> None:
        """What should stand now; only where something was set off, or somebody is silent, is there anything to ask."""
        about, as_of = _episode(snapshot), moment(now)
        assert as_of is not None
        ratings = tuple([rated for _, rated in self._rated.values()])
        quiet = snapshot.silence is None or now < snapshot.silence.amber_at
        for place, policy in enumerate(self._terms.policies):
            spoke = any(self._said[each.rating_id][place] for each in ratings)
            if spoke or self._alerts[place] or not quiet or about.missed_before_third or about.forecast:
                case = Case(about, ratings if spoke or self._alerts[place] else (), {}, self._terms.clients, as_of)
                self._alerts[place].update({alert.alert_id: alert for alert in decide(policy, case)})

    def _told(self, state: EpisodeState, *, closed: bool) -> Lived:
        found = self._lived
        found.closed = closed
        by_session: dict[str, list[tuple[Reading, Rated]]] = {}
        allied = [each for each in self._rated.values() if each[1].family == "alliance"]
        for reading, rated in sorted(allied, key=lambda each: each[1].place):
            by_session.setdefault(rated.session, []).append((reading, rated))
        sessions = [self._session(forms) for forms in by_session.values()]
        beside = [self._beside(name, sessions) for name in self._terms.textbook]
        found.sessions = [
            each._replace(spoke=(*each.spoke, *[name if at in held else None for name, held, _ in beside]))
            for at, each in enumerate(sessions)
        ]
        found.alerts = (*self._alerts, *[alerts for _, _, alerts in beside])
        found.ratings = len(state.course.observations)
        for observation in state.course.observations:
            found.clinicians.add((observation.clinician_id, observation.fact.occurred_at // (7 * DAY)))
        return found

    def _beside(self, name: str, sessions: Sequence[Session]) -> tuple[str, set[int], dict[UUID, Wanted]]:
        """What a textbook rule holds of each form: in which sessions, and the alerts."""
        places, alerts = set[int](), dict[UUID, Wanted]()
        for instrument in dict.fromkeys(each.instrument for each in sessions):
            own = [(at, each) for at, each in enumerate(sessions) if each.instrument == instrument]
            rated = [(at, textbook.Rated(each.at, each.total)) for at, each in own if each.total is not None]
            ratings = [each for _, each in rated]
            spoke = textbook.held(self._terms.engine, instrument, name, ratings) if ratings else []
            places |= {at for (at, _), holds in zip(rated, spoke, strict=True) if holds}
            alerts |= textbook.alerts(f"{self._lived.client}|{instrument}", name, ratings, spoke)
        return name, places, alerts

    def _session(self, forms: Sequence[tuple[Reading, Rated]]) -> Session:
        """One session, whose alliance may have been rated on several forms: the first is the one to draw."""
        said = [self._said[rated.rating_id] for _, rated in forms]
        spoke = tuple([next(filter(None, rules), None) for rules in zip(*said, strict=True)])
        first = forms[0][0]
        return Session(first.occurred_at, first.clinician_id, first.instrument, first.total, spoke)


def runs(facts: Sequence[Fact], *, by_session: bool = False) -> Iterator[list[Fact]]:
    """Cut before whatever changes the past, before a long silence, and after a missed session.

    `by_session`: between any two sessions too, because each may be told of as it ends. What was received at one moment
    was known together, in whatever order it stands.
    """
    run: list[Fact] = []
    latest = 0
    for fact in facts:
        other = by_session and fact.session_id != run[-1].session_id if run else False
        if run and fact.recorded_at > run[-1].recorded_at and (other or _parted(run, fact, latest)):
            yield run
            run = []
        run.append(fact)
        latest = max(latest, fact.occurred_at)
    if run:
        yield run


def _parted(run: Sequence[Fact], fact: Fact, latest: int) -> bool:
    late = fact.kind in RATINGS and fact.occurred_at < latest
    silent = fact.recorded_at - run[-1].recorded_at >= _QUIET
    return late or fact.version > 1 or silent or run[-1].kind == "session.missed"


def _form(reading: Reading) -> _Form:
    return _Form(
        rating_id=UUID(reading.rating_id),
        session_id=None if reading.session_id is None else UUID(reading.session_id),
        instrument=reading.instrument,
        rater=reading.rater,
        occurred_at=moment(reading.occurred_at),
        total=reading.total,
        index=reading.index,
        signals=reading.signals,
        expected=reading.expected,
        historical=reading.historical,
    )


def _episode(snapshot: Snapshot) -> Episode:
    seen, silence = snapshot.attendance, snapshot.silence
    missed = [moment(each.starts_at) for each in seen.appointments if each.outcome == "missed"]
    return Episode(
        episode_id=UUID(int=0),
        is_open=snapshot.status == "open",
        closed_at=moment(snapshot.closed_at),
        known_at=None,
        last_attended_at=moment(seen.last_attended_at),
        attended=seen.attended,
        missed_before_third=seen.missed_before_third,
        missed_at=tuple([each for each in missed if each is not None]),
        silent_amber_at=moment(silence.amber_at) if silence else None,
        silent_red_at=moment(silence.red_at) if silence else None,
        silence_reason=silence.reason if silence else None,
        forecast=_forecast(snapshot.forecast) if snapshot.forecast else None,
    )


def _forecast(seen: leaving.Forecast) -> Forecast | None:
    at, said = moment(seen.at), seen.hazard
    assert at is not None
    about = (said.within_three, seen.line, seen.since, seen.otherwise, said.reason, seen.historical)
    return Forecast(seen.session_id, seen.session, at, *about)
