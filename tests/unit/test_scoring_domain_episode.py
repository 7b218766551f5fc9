"""What an episode's facts mean together."""

from __future__ import annotations

from dataclasses import replace

import pytest

from schemas.instruments import Prior, Source
from services.scoring.domain import episode, rolling, rupture
from services.scoring.domain.config import DEFAULT
from services.scoring.domain.episode import EpisodeResult
from services.scoring.domain.facts import DAY, Fact, Kind, Rating
from services.scoring.domain.series import Reading


def rating(week: int, total: float | None, instrument: str = "srs@3", *, clinician: str | None = None) -> Fact:
    name = f"{instrument}/{week}"
    return Fact(
        name,
        name,
        1,
        "rating.submitted",
        week * 7 * DAY,
        week * 7 * DAY,
        session_id=f"week-{week}",
        clinician_id=clinician,
        rating=Rating(instrument, "client", total=total),
    )


def change(day: int, kind: Kind, clinician: str | None = None) -> Fact:
    name = f"{kind}/{day}"
    return Fact(name, name, 1, kind, day * DAY, day * DAY, clinician_id=clinician)


def result(*facts: Fact) -> EpisodeResult:
    read = episode.read_episode(DEFAULT, facts)
    assert read is not None
    return read


def readings(*facts: Fact) -> dict[str, Reading]:
    return {reading.rating_id: reading for reading in result(*facts).readings}


def value(reading: Reading, detector: str) -> float | None:
    return next(signal.value for signal in reading.signals if signal.detector == detector)


def test_a_fall_is_told_in_a_clinicians_words() -> None:
    """The reason says what was seen and against what, and never names a rupture."""
    last = readings(rating(1, 38.0), rating(2, 37.5), rating(3, 38.5), rating(4, 32.0))["srs@3/4"]
    reasons = {signal.detector: signal.reason for signal in last.signals}
    assert reasons["predictive-drop"] == "6.1 below this client's usual"
    assert reasons["reliable-drop"] == "6.5 below the previous rated session"
    assert reasons["drift"] == "recent sessions together 1.8 SD below this client's usual"
    assert reasons["level"] == "total below the conventional 36; 6.5 points worse than the time before"


def test_another_clinician_restarts_the_baseline() -> None:
    """After a transfer nothing of the earlier alliance is held against the new one; the count of ratings goes on."""
    before = [rating(week, 39.0, clinician="ann") for week in (1, 2, 3)]
    handed_on = change(22, "episode.transferred", "bob")
    last = readings(*before, handed_on, rating(4, 30.0, clinician="bob"))["srs@3/4"]
    assert (last.session_number, last.clinician_id, last.expected) == (4, "bob", None)
    assert value(last, "predictive-drop") is None


def test_a_rating_that_names_nobody_is_the_owners() -> None:
    """The clinician in charge on that day is whose alliance it rates; a transfer restarts baselines by itself."""
    facts = [change(0, "episode.opened", "ann"), rating(1, 39.0), change(8, "episode.transferred", "bob")]
    told = readings(*facts, rating(2, 30.0))
    assert [told[f"srs@3/{week}"].clinician_id for week in (1, 2)] == ["ann", "bob"]
    assert told["srs@3/2"].expected is None


def test_a_clinician_becoming_known_is_no_change() -> None:
    """Ratings before anybody was named belong to the baseline of the first who is."""
    told = readings(rating(1, 39.0), rating(2, 38.0, clinician="ann"))
    assert told["srs@3/2"].expected is not None


def test_instruments_and_formats_are_series_of_their_own() -> None:
    """A 7-point WAI-SR does not continue a 5-point one."""
    told = readings(rating(1, 55.0, "wai-sr@5pt"), rating(2, 75.0, "wai-sr@7pt"))
    assert [reading.session_number for reading in told.values()] == [1, 1]


def test_a_correction_recomputes_from_there_on_and_only_there() -> None:
    """Amending the second of three ratings gives new readings for the second and third; retracting it withdraws it."""
    facts = [rating(1, 39.0), rating(2, 20.0), rating(3, 38.0)]
    state, _ = episode.step(DEFAULT, episode.start(DEFAULT), facts)
    amended = facts[1]._replace(
        fact_id="amended", version=2, kind="rating.amended", rating=Rating("srs@3", "client", total=38.0)
    )
    state, after = episode.step(DEFAULT, state, [amended])
    assert after is not None
    assert [reading.rating_id for reading in after.readings] == ["srs@3/2", "srs@3/3"]
    retracted = facts[1]._replace(fact_id="retracted", version=3, kind="rating.retracted", rating=None)
    _, after = episode.step(DEFAULT, state, [retracted])
    assert after is not None
    assert after.withdrawn == ("srs@3/2",)
    assert [(reading.rating_id, reading.session_number) for reading in after.readings] == [("srs@3/3", 2)]


def test_a_late_rating_takes_its_place_by_cares_time() -> None:
    """A rating that arrives last but was given first is first, and those after it are told again."""
    state, _ = episode.step(DEFAULT, episode.start(DEFAULT), [rating(2, 38.0), rating(3, 37.0)])
    _, after = episode.step(DEFAULT, state, [rating(1, 39.0)])
    assert after is not None
    assert [reading.session_number for reading in after.readings] == [1, 2, 3]


def test_what_cannot_be_scored_says_why() -> None:
    """A rating off its scale or of an unknown instrument has a reading without numbers, and moves nothing."""
    told = readings(rating(1, 39.0), rating(2, 41.0), rating(3, 38.0), rating(4, 1.0, "mood@1"))
    assert told["srs@3/2"].why_no_total == "total: out-of-range"
    assert told["srs@3/2"].total is None
    assert told["srs@3/3"].session_number == 3
    assert (told["mood@1/4"].why_no_total or "").startswith("unknown instrument")


def test_a_scale_that_runs_down_is_told_on_its_own_scale() -> None:
    """PHQ-9: index 100 is the good end, a higher score is the surprising one, quantiles rise with their probability."""
    told = readings(rating(1, 10.0, "phq-9@1"), rating(2, 10.0, "phq-9@1"), rating(3, 25.0, "phq-9@1"))
    last = told["phq-9@1/3"]
    assert last.expected is not None
    assert last.tail_probability is not None
    assert last.tail_probability < 0.01
    quantiles = [last.expected.quantiles[name] for name in ("0.01", "0.1", "0.5", "0.9")]
    assert quantiles == sorted(quantiles)
    assert quantiles[0] < 10 < quantiles[-1]
    assert last.index == pytest.approx(100 * 2 / 27, abs=1e-6)
    assert {signal.detector for signal in last.signals} == {"off-track", "level"}


def test_an_episode_is_closed_until_it_is_opened_again() -> None:
    """A closed episode has no deadline; one opened again has."""
    facts = [change(0, "episode.opened", "ann"), rating(1, 39.0), change(30, "episode.closed")]
    closed = result(*facts).snapshot
    assert (closed.status, closed.closed_at, closed.silence) == ("closed", 30 * DAY, None)
    reopened = result(*facts, change(40, "episode.opened", "bob")).snapshot
    assert (reopened.status, reopened.opened_at, reopened.owner_id) == ("open", 0, "bob")
    assert reopened.silence is not None


def test_the_owner_is_the_latest_named_where_nobody_opened_the_episode() -> None:
    """Without an opening or a transfer, whoever the latest fact names."""
    assert result(rating(1, 39.0, clinician="ann"), rating(2, 39.0, clinician="bob")).snapshot.owner_id == "bob"


def test_flags_of_doubtful_ratings() -> None:
    """All four at the worst end in three seconds is to be asked about before it is believed."""
    items = dict.fromkeys(("relationship", "goals_and_topics", "approach_or_method", "overall"), 0.0)
    doubtful = rating(1, None)._replace(rating=Rating("srs@3", "client", items, seconds_to_complete=3.0))
    assert readings(doubtful)["srs@3/1"].quality == ("rushed", "all-items-at-worst", "low-first-rating")


def test_numbers_fitted_to_a_clinic_replace_the_registrys() -> None:
    """A clinic's own prior is used on its own version, and what was made with another is made again."""
    facts = [rating(1, 30.0), rating(2, 30.0)]
    prior = Prior(30.0, 2.0, 3.0, Source("fitted to this clinic", "computed"))
    fitted = replace(DEFAULT, priors=(("srs@3", prior),), fitted_version=1)
    state, before = episode.step(DEFAULT, episode.start(DEFAULT), facts)
    _, after = episode.step(fitted, state, [])
    assert before is not None
    assert after is not None
    assert [reading.score == again.score for reading, again in zip(before.readings, after.readings, strict=True)] == [
        False,
        False,
    ]
    assert after == episode.read_episode(fitted, facts)


def test_an_episode_without_facts_says_nothing() -> None:
    """No fact, no snapshot."""
    assert episode.read_episode(DEFAULT, []) is None


def both(week: int, client: float, therapist: float) -> list[Fact]:
    """One session, rated by both."""
    mine = rating(week, client, "arm-5@1")
    return [
        mine,
        mine._replace(
            fact_id=f"t/{week}", record_id=f"t/{week}", rating=Rating("arm-5@1", "therapist", total=therapist)
        ),
    ]


def test_views_that_move_apart_are_told_and_a_gap_that_stays_is_not() -> None:
    """A therapist who always rates lower says nothing; a client's view that sinks against the therapist's does."""
    steady = [fact for week in (1, 2, 3) for fact in both(week, 6.0, 4.6)]
    told = readings(*steady, *both(4, 4.2, 4.8))
    assert "discrepancy" not in {signal.detector for signal in told["arm-5@1/3"].signals}
    assert value(told["t/3"], "discrepancy") == 0.0
    assert (value(told["t/4"], "discrepancy") or 0.0) > 1.5
    reason = {signal.detector: signal.reason for signal in told["t/4"].signals}["discrepancy"]
    assert reason.startswith("the client's view has sunk")


def test_an_outcome_is_held_against_the_clients_own_beginning_whoever_the_clinician_is() -> None:
    """On a scale where more is worse: six more than at first is reliably worse, also after a transfer."""
    scores = [
        rating(week, total, "phq-9@1", clinician=who)
        for week, total, who in ((1, 12, "ann"), (2, 11, "ann"), (3, 18, "bob"))
    ]
    last = readings(*scores)["phq-9@1/3"]
    track = next(signal for signal in last.signals if signal.detector == "off-track")
    assert (track.details["worse_by"], track.details["deteriorated"], track.details["scores"]) == (6.0, 1.0, 3.0)
    assert (track.value or 0.0) > 0.67
    assert (track.details["expected"] or 0.0) < 12
    assert track.reason.endswith("6.0 points worse than at the beginning, which is a reliable deterioration")


def test_a_hundred_clinics_with_parameters_of_their_own_share_a_worker() -> None:
    """Their tables are made once each, however their ratings alternate: making them costs a hundred ratings."""
    own = [Prior(30 + n / 20, 2.0, 3.0, Source("fitted to this clinic", "computed")) for n in range(100)]
    clinics = [replace(DEFAULT, priors=(("srs@3", prior),)) for prior in own]
    made = []
    for week in (1, 2, 3):
        for engine in clinics:
            episode.read_episode(engine, [rating(week, 35.0)])
        made.append((rolling._grid.cache_info().misses, rupture._grid.cache_info().misses))
    assert made[0] == made[1] == made[2], "tables were thrown away while they were in use"
