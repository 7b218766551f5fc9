"""Rupture and repair: what a course of sessions may and may not become."""

from __future__ import annotations

import json
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.instruments import Instrument, lookup
from services.scoring.domain import repair
from services.scoring.domain.facts import DAY
from services.scoring.domain.repair import TRANSITIONS, UNSETTLED, Config, Reading, Session, State, Strain

SRS = lookup("srs@3")
assert isinstance(SRS, Instrument)
CONFIG = repair.scaled(SRS.total)
LAW = settings(max_examples=40, deadline=None)

SCORES = st.none() | st.integers(0, 400).map(lambda tenths: tenths / 10)
STRAINS = st.none() | st.builds(Strain, st.sampled_from((34.0, 38.0)), st.sampled_from((3.0, 6.0, 12.0)))


@st.composite
def courses(draw: st.DrawFn) -> list[Session]:
    """Sessions in care's order, with gaps of 1 to 60 days."""
    at, sessions = 0, []
    for days in draw(st.lists(st.integers(1, 60), min_size=1, max_size=12)):
        at += days * DAY
        sessions.append(Session(at, draw(SCORES), draw(STRAINS)))
    return sessions


def follow(sessions: list[Session], state: State | None = None) -> tuple[State, list[Reading]]:
    held, told = state or repair.start(CONFIG), []
    for session in sessions:
        held, reading = repair.step(CONFIG, held, session)
        told.append(reading)
    return held, told


@LAW
@given(courses())
def test_only_the_transitions_of_the_table_happen(sessions: list[Session]) -> None:
    """Every change of phase is a transition of the table with words to it; without one the phase stays."""
    phase: repair.Phase = "none"
    for reading in follow(sessions)[1]:
        for before, after, reason in reading.transitions:
            assert (before, bool(reason)) == (phase, True)
            assert after in TRANSITIONS[before]
            assert "rupture" not in reason
            phase = after
        assert reading.phase == phase


@LAW
@given(courses())
def test_two_near_ratings_in_a_row_repair_and_three_away_do_not(sessions: list[Session]) -> None:
    """Repaired means the last two ratings were near; unrepaired means that the last three were not."""
    ratings: list[float] = []
    for session, reading in zip(sessions, follow(sessions)[1], strict=True):
        ratings += [] if session.score is None else [session.score]
        if reading.target is None or not reading.transitions:
            continue
        if reading.transitions[-1].after == "repaired":
            assert min(ratings[-2:]) >= reading.target
        if reading.transitions[-1].after == "unrepaired":
            assert max(ratings[-3:]) < reading.target


@LAW
@given(courses())
def test_silence_ends_only_what_is_unsettled_and_always_aloud(sessions: list[Session]) -> None:
    """More than 28 days between two sessions end a strain that was open then; nothing else is dropped."""
    told = follow(sessions)[1]
    for (earlier, before), (later, after) in pairwise(zip(sessions, told, strict=True)):
        silent = later.at - earlier.at > 28 * DAY
        dropped = any(step.after == "dropped" for step in after.transitions)
        assert dropped == (silent and before.phase in UNSETTLED)


@LAW
@given(courses(), st.integers(0, 60))
def test_the_deadline_is_when_it_lapses(sessions: list[Session], days: int) -> None:
    """Asked at any later time, it is dropped exactly when that time is past the deadline that was told."""
    state, told = follow(sessions)
    at = sessions[-1].at + days * DAY
    deadline = told[-1].lapses_at
    late = deadline is not None and at > deadline
    assert (repair.lapse(CONFIG, state, at)[1].phase == "dropped") == (late or told[-1].phase == "dropped")


@LAW
@given(courses(), st.integers(0, 12))
def test_a_course_may_be_left_and_taken_up_again(sessions: list[Session], place: int) -> None:
    """A state that was written down and read back goes on as if it had not been."""
    state, first = follow(sessions[:place])
    resumed = State(*json.loads(json.dumps(state)))
    end, rest = follow(sessions[place:], resumed)
    assert follow(sessions) == (end, first + rest)


@LAW
@given(courses())
def test_a_session_without_a_rating_repairs_nothing_and_spoils_nothing(sessions: list[Session]) -> None:
    """Attended but not rated: only the deadline moves."""
    state, _ = follow(sessions)
    after, reading = repair.step(CONFIG, state, Session(sessions[-1].at + DAY, None))
    if state.phase == "dropped":
        assert reading.phase == "open"
    else:
        assert after == state._replace(last_at=sessions[-1].at + DAY)
        assert reading.transitions == ()


@LAW
@given(st.lists(st.integers(0, 40), min_size=3, max_size=8))
def test_repair_is_the_same_on_every_scale(points: list[int]) -> None:
    """Points and margin scaled by the span, the phases are those of the SRS."""
    small = Config(1.0, CONFIG.fall_share, CONFIG.confirm_sessions, CONFIG.window_sessions, CONFIG.silent_days)
    phases = []
    for config, factor in ((CONFIG, 1.0), (small, 0.5)):
        state, seen = repair.start(config), []
        opening = Session(0, 30.0 * factor, Strain(38.0 * factor, 8.0 * factor))
        later = [Session(number * DAY, factor * each) for number, each in enumerate(points, start=1)]
        for session in (opening, *later):
            state, reading = repair.step(config, state, session)
            seen.append(reading.phase)
        phases.append(seen)
    assert phases[0] == phases[1]
