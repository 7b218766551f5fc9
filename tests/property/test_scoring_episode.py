"""An episode's readings are a function of its set of facts: order, repeats and restarts do not matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.instruments import Rater
from services.scoring.domain import episode
from services.scoring.domain.config import DEFAULT as SHIPPED
from services.scoring.domain.episode import EpisodeResult, EpisodeState, Snapshot
from services.scoring.domain.facts import DAY, Fact, Kind, Rating
from services.scoring.domain.hazard import FEATURES, Cause, Gate, HazardModel
from services.scoring.domain.series import Reading
from services.scoring.state import Held, decode, encode

WEIGHTS = tuple(0.1 * (place + 1) for place in range(len(FEATURES)))
LEAVES = Cause((-2.0, -2.2, -2.4, -2.6, -2.8, -3.0), -3.0, -0.1, WEIGHTS)
PASSED = Gate(closed_episodes=300, auc_low=0.61, slope=1.0)
FORETELLING = HazardModel(FEATURES, (0.5,) * len(FEATURES), (2.0,) * len(FEATURES), LEAVES, LEAVES, PASSED, line=0.2)
DEFAULT = replace(SHIPPED, hazard=FORETELLING)
"""With a hazard of dropout, so that what it says obeys the same laws."""
SRS_ITEMS = ("relationship", "goals_and_topics", "approach_or_method", "overall")
CLINICIANS = st.sampled_from([None, "ann", "bob"])
TENTHS = st.integers(60, 100).map(lambda tenths: tenths / 10)


@st.composite
def ratings(draw: st.DrawFn) -> Rating:
    form = draw(st.sampled_from(["srs", "srs", "srs-total", "arm", "arm", "phq", "unknown", "wrong"]))
    if form == "srs":
        return Rating("srs@3", "client", {code: draw(st.one_of(st.none(), TENTHS, TENTHS)) for code in SRS_ITEMS})
    if form == "arm":
        rater: Rater = draw(st.sampled_from(("client", "therapist")))
        return Rating("arm-5@1", rater, {f"q{n}": float(draw(st.integers(1, 7))) for n in range(1, 6)})
    if form == "phq":
        return Rating("phq-9@1", "client", {f"q{n}": float(draw(st.integers(0, 3))) for n in range(1, 10)})
    if form == "srs-total":
        return Rating("srs@3", "client", total=draw(st.integers(0, 400)) / 10)
    return Rating("nobody-knows@1" if form == "unknown" else "srs@3", "client", total=41.0)


@st.composite
def facts(draw: st.DrawFn) -> Fact:
    """A fact out of so few records, sessions and days that they collide all the time."""
    kind: Kind = draw(
        st.sampled_from(
            [
                *["rating.submitted"] * 6,
                *["rating.amended", "rating.retracted"] * 2,
                *["session.booked", "session.attended", "session.missed", "session.cancelled"],
                *["episode.opened", "episode.closed", "episode.transferred"],
            ]
        )
    )
    room = kind.split(".")[0]
    record, version = draw(st.integers(1, 8)), draw(st.integers(1, 3))
    moment = draw(st.integers(0, 12)) * DAY
    return Fact(
        fact_id=f"{room}-{record}-{version}",
        record_id=f"{room}-{record}",
        version=version,
        kind=kind,
        occurred_at=moment,
        recorded_at=moment + draw(st.integers(0, 3)) * DAY,
        session_id=draw(st.sampled_from([None, "s1", "s2", "s3", "s4"])) if room != "episode" else None,
        clinician_id=draw(CLINICIANS),
        rating=draw(ratings()) if kind in ("rating.submitted", "rating.amended") else None,
        starts_at=moment if room == "session" else None,
    )


HISTORIES = st.lists(facts(), min_size=1, max_size=24, unique_by=lambda fact: fact.fact_id)


def latest(results: Sequence[EpisodeResult | None]) -> tuple[dict[str, Reading], Snapshot]:
    """What a reader of all results in turn ends with."""
    said: dict[str, Reading] = {}
    for result in results:
        assert result is not None
        said |= {reading.rating_id: reading for reading in result.readings}
        said = {rating: reading for rating, reading in said.items() if rating not in result.withdrawn}
    assert results[-1] is not None
    return said, results[-1].snapshot


def restarted(state: EpisodeState) -> EpisodeState:
    """The state as the store gives it back: through its encoding."""
    return decode(encode(Held(state))).episode


def in_turn(chunks: Sequence[Sequence[Fact]]) -> list[EpisodeResult | None]:
    state, results = episode.start(DEFAULT), []
    for chunk in chunks:
        state, result = episode.step(DEFAULT, restarted(state), chunk)
        results.append(result)
    return results


@settings(max_examples=150, deadline=None)
@given(history=HISTORIES, data=st.data())
def test_any_order_any_repeats_any_cut_ends_in_the_same_readings(history: list[Fact], data: st.DataObject) -> None:
    """Any permutation, any duplication, any chunks, resumed through the encoding after each: the same readings."""
    repeats = data.draw(st.lists(st.sampled_from(history), max_size=8))
    shuffled = data.draw(st.permutations([*history, *repeats]))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(shuffled)), max_size=6)) | {len(shuffled)})
    chunks = [shuffled[start:end] for start, end in zip([0, *cuts], cuts, strict=False)]
    assert latest(in_turn(chunks)) == latest([episode.read_episode(DEFAULT, history)])


@settings(max_examples=60, deadline=None)
@given(history=HISTORIES)
def test_one_by_one_equals_all_at_once_after_every_fact(history: list[Fact]) -> None:
    """After every single fact the incremental result is the batch result of the facts so far."""
    results = in_turn([[fact] for fact in history])
    for held in range(1, len(history) + 1):
        assert latest(results[:held]) == latest([episode.read_episode(DEFAULT, history[:held])])


@settings(max_examples=60, deadline=None)
@given(history=HISTORIES, version=st.integers(0, 3))
def test_steps_of_another_engine_are_thrown_away(history: list[Fact], version: int) -> None:
    """State made by another engine or for other fitted numbers is used for its facts only."""
    state, _ = episode.step(DEFAULT, episode.start(DEFAULT), history)
    foreign = replace(state, engine=version)
    _, result = episode.step(DEFAULT, foreign, [])
    assert result is not None
    expected = episode.read_episode(DEFAULT, history)
    assert expected is not None
    assert result.snapshot == expected.snapshot
    assert version == state.engine or result.readings == expected.readings


@given(history=HISTORIES)
def test_a_repeat_says_nothing_new(history: list[Fact]) -> None:
    """Facts already held change no reading."""
    state, _ = episode.step(DEFAULT, episode.start(DEFAULT), history)
    after, result = episode.step(DEFAULT, state, history)
    assert after == state
    assert result is not None
    assert result.readings == ()


@given(history=HISTORIES)
def test_published_numbers_stay_within_the_scale(history: list[Fact]) -> None:
    """Totals, levels and expectations lie on the instrument's scale, indices on 0-100, and low <= level <= high."""
    result = episode.read_episode(DEFAULT, history)
    assert result is not None
    for reading in result.readings:
        if reading.score and reading.score_index:
            high = 40 if reading.instrument == "srs@3" else 27
            assert 0 <= reading.score.low <= reading.score.level <= reading.score.high <= high
            assert 0 <= reading.score_index.low <= reading.score_index.level <= reading.score_index.high <= 100
        if reading.expected:
            ordered = [reading.expected.quantiles[key] for key in sorted(reading.expected.quantiles, key=float)]
            assert ordered == sorted(ordered)


@settings(max_examples=100, deadline=None)
@given(history=HISTORIES, data=st.data())
def test_a_dropped_fact_never_counts(history: list[Fact], data: st.DataObject) -> None:
    """Whether it comes before the drop, after it, again or never: the readings are those without it."""
    gone = data.draw(st.sampled_from(history))
    drop = Fact("drop", "drop", 1, "fact.dropped", gone.occurred_at, gone.recorded_at, drops=gone.fact_id)
    kept = [fact for fact in history if fact is not gone]
    shuffled = data.draw(st.permutations([*history, drop, gone]))
    said, snapshot = latest(in_turn([[fact] for fact in shuffled]))
    expected, summary = latest([episode.read_episode(DEFAULT, [*kept, drop])])
    assert said == expected
    assert snapshot == summary
