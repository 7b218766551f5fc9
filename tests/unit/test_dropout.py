"""Fitting a hazard of dropout: what goes in, what the card says, and when it stays off."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from io import StringIO
from math import log
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from schemas.instruments import Instrument, lookup
from services.cli.app import run
from services.cli.invocation import Invocation
from services.lab import btheb, dropout_bound, dropout_study, fitted_file, g_icbt, offtrack_fit
from services.lab.backtest.labels import read_labels
from services.lab.caseload import Clinic, caseload
from services.lab.clinics import CLINICS
from services.lab.dropout_events import courses, periods
from services.lab.generator import simulate
from services.lab.hazard_card import auc, average_precision
from services.lab.hazard_courses import periods as simulated
from services.lab.hazard_fit import Period, TooFewEnds, fit, logits, tabled
from services.lab.hazard_line import within
from services.lab.written import write
from services.scoring.domain.config import ENGINE_VERSION
from services.scoring.domain.facts import DAY, Fact, Rating
from services.scoring.domain.hazard import Gate, Hazard, HazardModel, Off, predict, weigh
from services.scoring.fitted import model_of

BASE = fitted_file.FittedFile.model_construct(engine=ENGINE_VERSION)
DATA = Path(__file__).parents[2].parent / "shared" / "data"
LOGINS = DATA / "g-icbt" / "interactions.csv"
TRIAL = DATA / "btheb" / "BtheB.csv"


@cache
def rows() -> tuple[Period, ...]:
    clinic = CLINICS["typical"]
    return tuple(simulated(simulate(11, 300, clinic), clinic))


@cache
def model() -> HazardModel:
    return fit(rows())


def test_the_arrays_say_what_the_domain_says() -> None:
    """A row's logit in the laboratory is the sum of the contributions a clinician would see."""
    found = logits(model(), tabled(rows()))[:40]
    alone = [sum(value for _, value in weigh(model(), each.features).contributions) for each in rows()[:40]]
    assert found == pytest.approx(alone)


def test_chances_within_three_are_the_domains_and_come_true() -> None:
    """In arrays as for one; made true, those that stand at the line or above it come about as often as they say."""
    table = tabled(rows())
    raw = replace(model(), within_three=(0.0, 1.0))
    found = within(raw, table.session, logits(raw, table), logits(raw, table, raw.other_end))
    assert found[:40] == pytest.approx([weigh(raw, each.features).within_three for each in rows()[:40]])
    line = model().card["line"]
    assert line["expected"] == pytest.approx(line["seen"], abs=0.12)
    assert line["seen"] > line["seen of all"]


def test_a_card_has_discrimination_calibration_and_an_audit() -> None:
    """With intervals by person, by decile and by session; the expected and the seen sum to the same."""
    card = model().card
    for name in ("auc", "pr-auc", "brier", "calibration slope", "calibration intercept"):
        assert card[name]["low"] <= card[name]["estimate"] <= card[name]["high"]
    deciles = [card[f"decile {place}"] for place in range(1, 11)]
    assert np.mean([each["expected"] for each in deciles]) == pytest.approx(card["rows"]["share"], abs=0.005)
    assert {"session 1", "session 6", "later sessions"} <= card.keys()


def test_three_hundred_simulated_courses_do_not_pass_unless_the_figures_do() -> None:
    """The gate decides by the card, and a model that is off says nothing but why."""
    found, gate = predict(model(), rows()[0].features), model().gate
    assert gate.closed_episodes == 300
    assert isinstance(found, Hazard if gate.auc_low > 0.6 and 0.8 <= gate.slope <= 1.2 else Off)


def test_a_model_is_the_same_read_back(tmp_path: Path) -> None:
    """Coefficients, gate and card, to the last digit; what is no model is refused with its place."""
    fitted_file.write(tmp_path / "hazard.json", BASE.foretelling(model()))
    read = fitted_file.read(tmp_path / "hazard.json").hazard
    assert read is not None
    assert (model_of(read), read.card) == (model(), model().card)
    broken = json.loads((tmp_path / "hazard.json").read_text())
    broken["hazard"]["scales"] = [1.0]
    (tmp_path / "broken.json").write_text(json.dumps(broken))
    with pytest.raises(fitted_file.BadFittedFile, match="one mean, scale and weight"):
        fitted_file.read(tmp_path / "broken.json")


def test_too_few_dropouts_are_refused() -> None:
    """With what to bring instead."""
    with pytest.raises(TooFewEnds, match="dropouts, 20 are needed"):
        fit([each for each in rows() if each.end != "dropped-out"])


def test_competing_ends_lower_what_is_expected_within_three() -> None:
    """Of people who may also end as agreed, fewer drop out within three sessions than three hazards would say."""
    found = weigh(model(), rows()[0].features)
    assert found.next < found.within_three < 1 - (1 - 2 * found.next) ** 3


def test_recorded_events_become_rows(tmp_path: Path) -> None:
    """A row for each attended session; who dropped out is what labels or reasons say, and both agree."""
    made = caseload(5, datetime(2026, 1, 5, tzinfo=UTC), Clinic(clients=40, clinicians=4, weeks=60))
    events, labels = tmp_path / "events.ndjson", tmp_path / "labels.ndjson"
    write(made, events, labels)
    by_label, by_reason = courses(events, read_labels(labels)), courses(events, {})
    left = sum(label.dropped_out for label in made.labels)
    assert by_label.refused == 0
    assert left * 0.7 <= sum(each.end == "dropped-out" for each in by_label.periods) <= left
    closed = {each.person for each in by_reason.periods if each.end != "none"}
    said = {each.person: each.end for each in by_label.periods if each.end != "none"}
    assert all(
        said[each.person] == each.end for each in by_reason.periods if each.person in closed and each.end != "none"
    )
    assert by_reason.open_ > 0


def facts(sessions: int) -> list[Fact]:
    """Weekly sessions, each booked at the one before, the last rated low and corrected a week later."""
    made = []
    for number in range(sessions):
        at, name = number * 7 * DAY, f"s{number}"
        booked = max(0, at - 7 * DAY)
        made += [
            Fact(f"b{number}", f"b{number}", 1, "session.booked", booked, booked, name, starts_at=at),
            Fact(f"a{number}", f"a{number}", 1, "session.attended", at, at, name, starts_at=at),
            Fact(f"r{number}", f"r{number}", 1, "rating.submitted", at, at, name, rating=_srs(39.0 - number)),
            Fact(f"c{number}", f"r{number}", 2, "rating.amended", at, at + 7 * DAY, name, rating=_srs(5.0)),
        ]
    return sorted(made, key=lambda fact: fact.recorded_at)


def _srs(total: float) -> Rating:
    return Rating("srs@3", "client", total=total)


def test_rows_never_see_what_came_later() -> None:
    """Cutting the record after a session, corrections and later sessions with it, changes nothing of its row."""
    whole = list(periods("p", facts(6), "dropped-out"))
    for session in range(1, 6):
        until = (session - 1) * 7 * DAY + DAY
        part = list(periods("p", [fact for fact in facts(6) if fact.recorded_at <= until], "other-end"))
        assert [each.features for each in part] == [each.features for each in whole[:session]]


def test_an_open_course_is_censored() -> None:
    """Nobody knows what followed its last session."""
    assert [each.end for each in periods("p", facts(4), None)] == ["none"] * 3
    assert [each.end for each in periods("p", facts(4), "other-end")] == ["none"] * 3 + ["other-end"]


def test_measures_are_what_their_definitions_count() -> None:
    """AUC over all pairs, ties half; average precision over all levels."""
    rng = np.random.default_rng(3)
    logit, happened = rng.integers(0, 9, 200).astype(float), rng.random(200) < 0.2
    apart = logit[happened][:, None] - logit[~happened]
    assert auc(logit, happened) == pytest.approx(np.mean((apart > 0) + (apart == 0) / 2))
    levels = sorted(set(logit), reverse=True)
    recall = [np.mean(logit[happened] >= level) for level in [np.inf, *levels]]
    precision = [np.mean(happened[logit >= level]) for level in levels]
    assert average_precision(logit, happened) == pytest.approx(np.diff(recall) @ precision)


def test_the_study_learns_and_tries_on_different_clinics_and_seeds() -> None:
    """Nothing that is tried was learned from."""
    assert not set(dropout_study.held_out()) & set(dropout_study.LEARNED_FROM)
    assert len({dropout_study.LEARNING_SEED, dropout_study.HELD_OUT_SEED}) == 2


@pytest.mark.skipif(not LOGINS.is_file(), reason="the log-ins' licence does not let us ship them")
def test_real_log_ins_tell_more_than_their_number() -> None:
    """On day 21, by models that never saw the person; the interval is on the page."""
    found = g_icbt.forecast(g_icbt.read(LOGINS), resamples=20, repeats=1)
    assert (found.people, found.stopped) == (171, 54)
    assert found.full["auc"].estimate > 0.8
    assert found.full["auc"].estimate > found.counts["auc"].estimate


def test_log_ins_after_the_day_change_nothing() -> None:
    """What is known by day 21 is what was known by day 21."""
    early = (g_icbt.Visit(0.0, 1.0), g_icbt.Visit(5.0, 0.5), g_icbt.Visit(20.9, 9.0))
    late = g_icbt.Person((*early, g_icbt.Visit(21.5, 2.0)), stopped=False)
    assert g_icbt.known_by(late) == g_icbt.known_by(g_icbt.Person(early, stopped=True))


@pytest.mark.skipif(not TRIAL.is_file(), reason="the trial's file is not shipped")
def test_the_trial_is_tabulated() -> None:
    """Everybody who was measured again is in one class, and the arms make the whole."""
    *arms, both = btheb.tabulated(btheb.read(TRIAL))
    assert (both.people, both.followed, sum(both.classes)) == (100, 97, 97)
    assert sum(arm.off for arm in arms) == both.off


def test_a_clinics_own_curve_is_found_again() -> None:
    """Least squares gives back what the courses were made with; too few episodes are refused."""
    ors, rng = lookup("ors@1"), np.random.default_rng(2)
    assert isinstance(ors, Instrument)
    made = []
    for _ in range(400):
        intake = float(rng.normal(18, 6))
        shares = [log(session) / log(10) for session in range(1, 9)]
        made.append([intake + share * (15 - 0.4 * intake) + 3 * share**0.5 * rng.normal() for share in shares])
    found = offtrack_fit.fit(ors, made)
    curve = found.config.curve
    assert curve.gain + 18 * curve.per_point == pytest.approx(15 - 0.4 * 18, abs=0.5)
    assert (curve.per_point, curve.residual) == pytest.approx((-0.4, 3), abs=0.2)
    assert found.card["share under 25%"] == pytest.approx(0.25, abs=0.05)
    with pytest.raises(offtrack_fit.TooFewEpisodes, match="300 are needed"):
        offtrack_fit.fit(ors, made[:299])


def attune(*arguments: str) -> tuple[int, str]:
    told = StringIO()
    console = Console(file=told, width=160)
    return run(arguments, Invocation({}, out=console, say=console)), told.getvalue()


def test_the_command_writes_a_model_and_says_whether_it_may_speak(tmp_path: Path) -> None:
    """From recorded events to a file that reads back; a name of nobody is printed."""
    made = caseload(9, datetime(2026, 1, 5, tzinfo=UTC), Clinic(clients=110, clinicians=8, weeks=60))
    events, labels, out = (str(tmp_path / name) for name in ("events.ndjson", "labels.ndjson", "hazard.json"))
    write(made, Path(events), Path(labels))
    ended, told = attune("fit", "dropout", "--events", events, "--labels", labels, "--out", out)
    assert ended == 0
    assert "gate off: 110 closed episodes, 300 are needed" in told
    assert "C-0" not in told + Path(out).read_text()
    made_of = fitted_file.engine_of(Path(out)).hazard
    assert made_of is not None
    assert isinstance(predict(made_of, rows()[0].features), Off)


def test_the_command_says_what_is_missing(tmp_path: Path) -> None:
    """No file, or nothing to learn from: one line with what to do next."""
    ended, told = attune("fit", "dropout", "--events", str(tmp_path / "none.ndjson"), "--out", str(tmp_path / "h.json"))
    assert (ended, "cannot be read" in told) == (2, True)
    (tmp_path / "empty.ndjson").write_text("")
    ended, told = attune(
        "fit", "dropout", "--events", str(tmp_path / "empty.ndjson"), "--out", str(tmp_path / "h.json")
    )
    assert (ended, "20 are needed" in told) == (2, True)


def test_a_backtest_says_how_well_dropout_was_foretold(tmp_path: Path) -> None:
    """Where labels say who dropped out: every session's chance, the last one's end; a shut gate raises no alert."""
    made = caseload(5, datetime(2026, 1, 5, tzinfo=UTC), Clinic(clients=60, clinicians=4, weeks=60))
    events, labels, model_file = (tmp_path / name for name in ("events.ndjson", "labels.ndjson", "hazard.json"))
    write(made, events, labels)
    shut = replace(model(), gate=Gate(closed_episodes=10, auc_low=0.5, slope=1.0))
    fitted_file.write(model_file, BASE.foretelling(shut))
    arguments = (
        "--events",
        str(events),
        "--labels",
        str(labels),
        "--fitted",
        str(model_file),
        "--cores",
        "1",
        "--json",
    )
    ended, told = attune("backtest", *arguments)
    assert ended == 0
    found = json.loads(told[told.index("{") :])
    left = sum(bool(label.dropped_out) for label in made.labels)
    assert 0.7 * left <= found["labels"]["dropout"]["dropouts"] <= left
    assert 0.5 < found["labels"]["dropout"]["auc"]["estimate"] < 0.9
    assert "dropout-hazard" not in found["policies"]["fic-default-2"]["by_rule"]


def test_nobody_knows_more_than_the_generator() -> None:
    """An observer of the ratings, who knows all but the truth, lies between chance and the generator's own hazard."""
    found = dropout_bound.bounded(model(), dropout_bound.Size(3, 200, 20), names=("low ratings",))
    assert [each.name for each in found] == ["low ratings", "together"]
    assert 0 < found[0].knowable.estimate < 1.2
    assert found[0].dropouts > 20
