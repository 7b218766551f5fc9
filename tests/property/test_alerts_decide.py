"""What should stand is a function of what is known: not of the order it came in, nor of what stood before."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.alerts.domain.decide import decide, fires
from services.alerts.domain.lifecycle import STANDING, TRANSITIONS, Action, Refusal, State, transition
from services.alerts.domain.policy import DEFAULT, FIRST, HIGH_SENS, OPENFIT, Policy
from services.alerts.domain.reconcile import Stored
from services.alerts.domain.record import Case, Done, Number, Rated
from tests.alerts_cases import LEVEL, after, care, case, changed, changes, day, drifted, dropped, fell, rated

POLICIES = st.sampled_from([DEFAULT, FIRST, HIGH_SENS, OPENFIT])
SIZES = st.sampled_from([1, 199, 200, 500])
TOTALS = st.integers(200, 400).map(lambda tenths: tenths / 10)


@st.composite
def numbers(draw: st.DrawFn) -> dict[str, Number]:
    found = {}
    if draw(st.booleans()):
        rate, slide = draw(st.sampled_from([0.2, 0.01, 0.009, 0.001])), draw(st.sampled_from([0.0, 0.5, 0.9]))
        found["rupture-evidence"] = changed(draw(st.sampled_from([1.0, 4.0, 9.0])), rate=rate, slide=slide)
    if draw(st.booleans()):
        found["predictive-drop"] = dropped(draw(st.sampled_from([2.0, 4.0, 9.0])))
    if draw(st.booleans()):
        found["reliable-drop"] = fell(draw(st.sampled_from([-1.0, 4.9, 5.0, 8.0])))
    if draw(st.integers(0, 3)) == 0:
        found["drift"] = drifted(draw(st.sampled_from([2.5, 2.6, 3.1])))
    if draw(st.booleans()):
        found["level"] = Number(draw(st.sampled_from([0.0, 1.5])), "below 36")
    return found


@st.composite
def ratings(draw: st.DrawFn) -> tuple[Rated, ...]:
    """Some sessions of an episode, now and then with two instruments in one."""
    found = []
    for session in range(1, draw(st.integers(1, 12)) + 1):
        for form in range(1 + (draw(st.integers(0, 5)) == 0)):
            total = draw(st.one_of(TOTALS, TOTALS, st.just(LEVEL)))
            found.append(
                rated(
                    session,
                    total,
                    rating_id=UUID(int=session * 10 + form),
                    instrument=("srs@3", "wai-sr@1")[form],
                    numbers=draw(numbers()),
                    historical=draw(st.booleans()),
                )
            )
    return tuple(found)


@st.composite
def outcomes(draw: st.DrawFn) -> tuple[Rated, ...]:
    """Scores of two outcome measures, of which one runs downwards, in some of the sessions."""
    found: list[Rated] = []
    for session in draw(st.lists(st.integers(1, 12), max_size=10)):
        form = draw(st.integers(0, 1))
        found.append(
            rated(
                session,
                draw(TOTALS),
                rating_id=UUID(int=1_000 + len(found)),
                instrument=("ors@1", "phq-9@1")[form],
                family="outcome",
                better=(1, -1)[form],
                numbers=draw(st.sampled_from([{}, OFF, WORSE, FINE])),
            )
        )
    return tuple(found)


def _track(below_sds: float, worse_by: float, *, deteriorated: float) -> dict[str, Number]:
    details = {"worse_by": worse_by, "deteriorated": deteriorated, "reliable": 5.0, "scores": 4.0, "expected": 30.0}
    return {"off-track": Number(below_sds, "worse than is usual", details)}


OFF = _track(1.0, 0.0, deteriorated=0.0)
WORSE = _track(1.5, 6.0, deteriorated=1.0)
FINE = _track(-0.2, -4.0, deteriorated=0.0)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    missed = tuple(day(7 * at + 1) for at in sorted(draw(st.sets(st.integers(0, 14), max_size=3))))
    deadline = draw(st.one_of(st.none(), st.integers(20, 120)))
    episode = care(
        is_open=draw(st.sampled_from([True, True, True, False])),
        known_at=day(draw(st.integers(0, 120))),
        last_attended_at=draw(st.sampled_from([None, day(7), day(70)])),
        attended=draw(st.integers(0, 4)),
        missed_before_third=bool(missed) and draw(st.booleans()),
        missed_at=missed,
        silent_amber_at=None if deadline is None else day(deadline),
        silent_red_at=None if deadline is None else day(deadline + 7),
    )
    return case(
        (*draw(ratings()), *draw(outcomes())), episode, clients=draw(SIZES), as_of=day(draw(st.integers(0, 130)))
    )


@given(POLICIES, cases(), st.randoms())
def test_order_does_not_matter(policy: Policy, known: Case, chance: object) -> None:
    """Any order of the ratings gives the same alerts."""
    shuffled = list(known.ratings)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis' own Random
    assert decide(policy, replace(known, ratings=tuple(shuffled))) == decide(policy, known)


@given(POLICIES, cases())
def test_one_standing_alert_of_a_kind(policy: Policy, known: Case) -> None:
    """An episode never has two open alerts of one kind, and no two of one id."""
    wanted = decide(policy, known)
    standing = Counter(alert.kind for alert in wanted if alert.state == "open")
    assert not standing or max(standing.values()) == 1
    assert len({alert.alert_id for alert in wanted}) == len(wanted)


@given(cases())
def test_cooldown(known: Case) -> None:
    """Two alerts of one kind open at least three sessions apart."""
    sessions = sorted({each.session for each in known.ratings})
    for kind in ("rupture-possible", "slow-decline"):
        opened = sorted(
            sessions.index(alert.session)
            for alert in decide(DEFAULT, known)
            if alert.kind == kind and alert.session is not None
        )
        assert all(later - earlier >= 3 for earlier, later in itertools.pairwise(opened))


@given(POLICIES, cases())
def test_who_asks_first_misses_nothing(policy: Policy, known: Case) -> None:
    """Every rating that opens an alert is one that `fires` tells of: the fold may be skipped for all others."""
    by_id = {each.rating_id: each for each in known.ratings}
    for alert in decide(policy, known):
        if alert.rating_id is not None:
            assert fires(policy, by_id[alert.rating_id], known.clients)


@given(POLICIES, st.lists(cases(), min_size=1, max_size=4))
def test_told_twice_changes_nothing(policy: Policy, told: list[Case]) -> None:
    """Once the records say what should stand, deciding again finds nothing to do."""
    stored: dict[UUID, Stored] = {}
    for known in told:
        stored, _ = after(stored, known, policy)
        assert changes(stored, decide(policy, known)) == []


@given(POLICIES, cases(), cases())
def test_the_way_there_does_not_matter(policy: Policy, before: Case, known: Case) -> None:
    """What stands in the end is what would stand had nothing else ever been known."""
    direct, _ = after({}, known, policy)
    around, _ = after(after({}, before, policy)[0], known, policy)
    for alert_id, alert in direct.items():
        assert around[alert_id].state == alert.state
    assert {each for each in around if around[each].state in STANDING} == {
        each for each in direct if direct[each].state in STANDING
    }


@given(POLICIES, cases(), cases())
def test_steps_follow_the_table(policy: Policy, before: Case, known: Case) -> None:
    """Every change of state that reconciling makes is one that the life cycle allows, and none is silent."""
    stored, _ = after({}, before, policy)
    for change in changes(stored, decide(policy, known)):
        state = stored[change.alert_id].state if change.alert_id in stored else "open"
        actions: dict[str, Action] = {"withdrawn": "withdraw", "cleared": "clear", "reopened": "reopen"}
        for step, _ in change.steps:
            if step in actions:
                following = transition(state, actions[step])
                assert not isinstance(following, Refusal)
                state = following
        assert state == change.state


class Life(RuleBasedStateMachine):
    """One rating's alert, through corrections and people, as the records keep it."""

    def __init__(self) -> None:
        super().__init__()
        self.stored: dict[UUID, Stored] = {}
        self.acts: dict[UUID, tuple[Done, ...]] = {}
        self.totals: dict[int, float] = {1: LEVEL, 2: LEVEL}
        self.now: datetime = day(0)

    def known(self) -> Case:
        return case([rated(session, total) for session, total in self.totals.items()], acts=self.acts)

    @rule(session=st.integers(1, 12), total=st.sampled_from([25.0, 31.0, 36.5, 37.0]))
    def answer(self, session: int, total: float) -> None:
        """A form, new or corrected."""
        self.totals[session] = total
        self.now = max(self.now, day(7 * session + 1))
        self.decide()

    @precondition(lambda self: self.totals)
    @rule(data=st.data())
    def retract(self, data: st.DataObject) -> None:
        del self.totals[data.draw(st.sampled_from(sorted(self.totals)))]
        self.decide()

    @precondition(lambda self: self.stored)
    @rule(data=st.data(), action=st.sampled_from(["acknowledge", "resolve"]))
    def speak(self, data: st.DataObject, action: Action) -> None:
        """A person does something about one of them."""
        alert = self.stored[data.draw(st.sampled_from(sorted(self.stored)))]
        state = transition(alert.state, action)
        if not isinstance(state, Refusal):
            self.stored[alert.alert_id] = replace(alert, state=state)
            done = Done("acknowledged" if action == "acknowledge" else "resolved", self.now)
            self.acts[alert.alert_id] = (*self.acts.get(alert.alert_id, ()), done)
            self.decide()

    def decide(self) -> None:
        before = dict(self.stored)
        self.stored, _ = after(self.stored, self.known())
        for alert_id, alert in before.items():
            if alert.state == "resolved":
                assert self.stored[alert_id] == alert
            if alert.state == "acknowledged":
                assert self.stored[alert_id].state != "open"

    @invariant()
    def one_stands(self) -> None:
        standing = Counter(alert.kind for alert in self.stored.values() if alert.state in STANDING)
        assert not standing or max(standing.values()) == 1

    @invariant()
    def nothing_left_to_do(self) -> None:
        assert changes(self.stored, decide(DEFAULT, self.known())) == []


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


@given(st.sampled_from(["open", "acknowledged", "resolved", "withdrawn", "cleared"]), st.data())
def test_refusals_tell_what_is_allowed(state: State, data: st.DataObject) -> None:
    """Whatever is not in the table is refused, with everything that is."""
    action: Action = data.draw(st.sampled_from(["acknowledge", "resolve", "withdraw", "clear", "reopen"]))
    after_it = transition(state, action)
    allowed = {each for at, each in TRANSITIONS if at == state}
    if action in allowed:
        assert after_it == TRANSITIONS[state, action]
    else:
        assert isinstance(after_it, Refusal)
        assert set(after_it.allowed) == allowed
