"""Policies over recorded events: what they would have said then, and what that was worth."""

from __future__ import annotations

import codecs
import gzip
import json
import random
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from services.alerts.adapters import policies
from services.cli.app import run as main
from services.cli.invocation import Invocation
from services.cli.named import policy_of
from services.ingest import episodes
from services.lab import written
from services.lab.backtest import run
from services.lab.backtest.doubts import doubts
from services.lab.backtest.findings import findings
from services.lab.backtest.labels import BadLabels, read_labels
from services.lab.backtest.lines import UnreadableFile
from services.lab.backtest.page import write
from services.lab.backtest.run import Request, backtest
from services.lab.backtest.textbook import known
from services.lab.caseload import Clinic, caseload
from services.lab.truth import Label
from services.platform.errors import ConfigurationError

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
POLICIES = ("fic-default-2", "openfit-compatible-1")
Event = dict[str, Any]


def rated(session: int, total: float, **more: Any) -> Event:  # noqa: ANN401 - JSON
    at = START + timedelta(days=7 * session)
    return {
        "id": f"r{session}",
        "type": "rating.submitted",
        "client": "anna",
        "clinician": "t1",
        "session": f"s{session}",
        "occurred_at": at.isoformat(),
        "rating": {"instrument": "srs@3", "total": total},
    } | more


def ndjson(path: Path, events: Iterable[Event | str]) -> Path:
    path.write_text("".join(f"{each if isinstance(each, str) else json.dumps(each)}\n" for each in events))
    return path


def found(events: Path, labels: Path | None = None, policies: tuple[str, ...] = POLICIES) -> dict[str, Any]:
    known = read_labels(labels) if labels else {}
    tally = backtest(Request(events, tuple(map(policy_of, policies)), known), lambda _: None)
    return findings(tally, policies, budget=1.0)


COURSE = [rated(number, total) for number, total in enumerate((38.0, 38.5, 37.5, 29.0, 38.0, 38.2), start=1)]


def test_a_fall_is_flagged_where_it_is(tmp_path: Path) -> None:
    """One fall of nine points: one alert of the default; the conventional rule also speaks where nothing is."""
    labels = ndjson(tmp_path / "l", [{"client": "anna", "sessions": 6, "ruptures": [{"onset": 4, "end": 4}]}])
    told = found(ndjson(tmp_path / "e", COURSE), labels)
    assert told["policies"]["fic-default-2"]["by_rule"] == {"rupture-evidence": 1}
    judged = told["labels"]["policies"]
    assert judged["fic-default-2"]["sensitivity"]["estimate"] == 1
    assert judged["fic-default-2"]["false_alarms_per_clean_session"]["estimate"] == 0
    assert judged["openfit-compatible-1"]["false_alarms_per_clean_session"]["estimate"] > 0


def test_order_repeats_and_parts_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines twice, and a file cut into many parts, give the same findings."""
    events, labels = tmp_path / "once", tmp_path / "labels"
    written.write(caseload(3, START, Clinic(clients=40, clinicians=4, weeks=20)), events, labels)
    once = [json.loads(line) for line in events.read_text().splitlines()]
    told = found(events, labels)
    twice = found(ndjson(tmp_path / "twice", [each for event in once for each in (event, event)]), labels)
    monkeypatch.setattr(run, "PART_BYTES", 10_000)
    parts = found(events, labels)
    for other in (twice, parts):
        assert [other[name] for name in ("policies", "labels")] == [told[name] for name in ("policies", "labels")]


def test_what_was_said_then_counts_though_it_was_amended(tmp_path: Path) -> None:
    """A slip of the pen flagged at the time is an alert that was read, whatever the record says now."""
    amended = rated(4, 38.1, type="rating.amended", version=2)
    told = found(ndjson(tmp_path / "e", [*COURSE, amended]))
    assert told["policies"]["fic-default-2"]["alerts_from_ratings"] == 1


def test_silence_is_heard(tmp_path: Path) -> None:
    """Seven weeks without a session: disengaging, under every policy."""
    told = found(ndjson(tmp_path / "e", [*COURSE[:3], rated(10, 38.0)]))
    assert {each["by_kind"]["disengaging"] for each in told["policies"].values()} == {1}


def test_lines_that_are_no_events_are_told_by_line_and_field(tmp_path: Path) -> None:
    """The rest is lived through; no value is repeated."""
    secret = rated(7, 38.0, client="secret", colour="secret")
    told = found(ndjson(tmp_path / "e", [*COURSE, "{not json", secret]))
    assert told["record"]["refused_lines"] == 2
    assert [(each["line"], each["pointer"]) for each in told["first_refused"]] == [(7, ""), (8, "/colour")]
    assert "secret" not in json.dumps(told)


def test_facts_of_the_inbox_are_events_too(tmp_path: Path) -> None:
    """The file may hold facts as they were published."""
    common = {
        "tenant_id": "00000000-0000-0000-0000-000000000001",
        "client_id": "00000000-0000-0000-0000-000000000002",
        "episode_id": "00000000-0000-0000-0000-000000000003",
        "type": "rating.submitted",
        "instrument": "srs@3",
        "rater": "client",
        "clock": "wall",
    }
    facts = [
        common
        | {
            "fact_id": f"00000000-0000-0000-0001-{number:012d}",
            "record_id": f"00000000-0000-0000-0002-{number:012d}",
            "occurred_at": event["occurred_at"],
            "recorded_at": event["occurred_at"],
            "total": event["rating"]["total"],
        }
        for number, event in enumerate(COURSE)
    ]
    told = found(ndjson(tmp_path / "e", facts))
    assert told["policies"]["fic-default-2"]["by_rule"] == {"rupture-evidence": 1}


def test_the_labs_own_labels_fit_its_events(tmp_path: Path) -> None:
    """A caseload written with its truth: every label is used, and counts the sessions that the record has."""
    events, labels = tmp_path / "e", tmp_path / "l"
    written.write(caseload(3, START, Clinic(clients=60, clinicians=4, weeks=30)), events, labels)
    told = found(events, labels)["labels"]
    assert told["courses"] == told["courses"] >= 60
    ended = sum(json.loads(line)["sessions"] > 0 for line in labels.read_text().splitlines())
    assert told["courses_with_other_sessions"] <= 0.1 * ended


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("{", "the line"),
        ('{"client": "a", "ruptures": [{"onset": 0, "end": 1}]}', "ruptures.0.onset"),
        ('{"client": "a", "ruptures": [{"onset": 3, "end": 2}]}', "end: not before onset"),
        ('{"client": "a", "colour": "b"}', "colour"),
    ],
)
def test_a_bad_label_is_named_by_line_and_field(tmp_path: Path, line: str, named: str) -> None:
    """What and where; never the value."""
    path = ndjson(tmp_path / "l", ['{"client": "x"}', line])
    with pytest.raises(BadLabels, match=f"line 2: .*{named}"):
        read_labels(path)


def test_the_page_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    """One file with its drawings, no address in it but the drawings' own vocabulary, and nobody's reference."""
    labels = ndjson(tmp_path / "l", [{"client": "anna", "ruptures": [{"onset": 4, "end": 4, "shape": "v"}]}])
    tally = backtest(
        Request(ndjson(tmp_path / "e", COURSE), tuple(map(policy_of, POLICIES)), read_labels(labels)), lambda _: None
    )
    write(tmp_path / "page.html", findings(tally, POLICIES, 1.0), tally.examples)
    page = (tmp_path / "page.html").read_text()
    assert page.count("<svg") >= 3
    assert not [part for part in ("src=", "@import", "<script", "url(http") if part in page]
    assert "anna" not in page


def test_two_forms_in_one_session_are_one_session(tmp_path: Path) -> None:
    """Labels count sessions, not forms: a clinic that gives two alliance measures each time has no more of them."""
    second = [
        {**event, "id": f"x{number}", "rating": {"instrument": "srs@3", "total": 36.0}}
        for number, event in enumerate(COURSE)
    ]
    both = [each for pair in zip(COURSE, second, strict=True) for each in pair]
    assert found(ndjson(tmp_path / "e", both))["record"]["alliance_sessions"] == len(COURSE)


def test_lines_in_no_order_are_taken_in_the_order_of_care(tmp_path: Path) -> None:
    """Shuffled, the file says nothing of when things became known; its events still give the same."""
    made = caseload(3, START, Clinic(clients=40, clinicians=4, weeks=20))
    lines = [post.event for post in made.posts if post.event.get("version", 1) == 1]
    ordered = sorted(lines, key=itemgetter("occurred_at"))
    told = found(ndjson(tmp_path / "ordered", ordered))
    shuffled = found(ndjson(tmp_path / "shuffled", random.Random(5).sample(lines, len(lines))))
    assert (told["record"]["taken_in_order_of"], shuffled["record"]["taken_in_order_of"]) == ("arrival", "care")
    for policy in POLICIES:
        assert shuffled["policies"][policy]["by_rule"] == told["policies"][policy]["by_rule"]


def test_dropout_is_told_where_it_is_labelled(tmp_path: Path) -> None:
    """One who left in silence was noticed, one who stayed was not said to go; without such labels nothing is told."""
    left = [event | {"id": f"b{event['id']}", "client": "ben", "session": f"b{event['session']}"} for event in COURSE]
    stayed = [rated(number, 38.0) for number in range(1, 13)]
    events = ndjson(tmp_path / "e", sorted([*left, *stayed], key=itemgetter("occurred_at")))
    named = [{"client": "anna", "dropped_out": False}, {"client": "ben", "dropped_out": True}]
    told = found(events, ndjson(tmp_path / "l", named))["labels"]["policies"]["fic-default-2"]
    assert [told[name]["estimate"] for name in ("dropout_noticed", "stayed_and_said_to_go", "dropout_auc")] == [1, 0, 1]
    unnamed = found(events, ndjson(tmp_path / "u", [{"client": "anna"}, {"client": "ben"}]))
    assert "dropout_auc" not in unnamed["labels"]["policies"]["fic-default-2"]


def test_examples_do_not_depend_on_the_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same courses are shown however the file was cut, those first on which policies disagree."""
    made = caseload(3, START, Clinic(clients=60, clinicians=4, weeks=20))
    events = ndjson(tmp_path / "e", [post.event for post in made.posts])
    asked = Request(events, tuple(map(policy_of, POLICIES)), {})
    whole = backtest(asked, lambda _: None).examples
    monkeypatch.setattr(run, "PART_BYTES", 10_000)
    assert whole
    assert backtest(asked, lambda _: None).examples == whole
    assert whole == sorted(whole, key=lambda each: each.agreed)


@pytest.mark.parametrize(
    "line",
    [
        "null",
        "[]",
        "NaN",
        "[" * 5_000,
        json.dumps({"specversion": "1.0", "id": "1", "source": "x", "type": "rating.submitted", "data": 5}),
        json.dumps({"specversion": "1.0", "id": "1", "source": "x", "type": "rating.submitted", "data": ["fact_id"]}),
        json.dumps(rated(7, 38.0, occurred_at="9999-12-31T23:59:59-14:00")),
        json.dumps(rated(7, 38.0, client="\ud800")),
        json.dumps(rated(7, 38.0, version=10**30)),
    ],
    ids=lambda line: line[:20],
)
def test_no_line_ends_a_backtest(tmp_path: Path, line: str) -> None:
    """Whatever a generator writes: that line is counted, the others are lived through."""
    told = found(ndjson(tmp_path / "e", [line, *COURSE]))
    assert (told["record"]["refused_lines"], told["record"]["events"]) == (1, len(COURSE))


def test_an_episode_is_no_longer_than_the_door_allows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the door would refuse is refused here, and says why."""
    monkeypatch.setattr(episodes, "MAX_FACTS", 4)
    told = found(ndjson(tmp_path / "e", COURSE))
    assert told["record"]["refused_lines"] == len(COURSE) - 4
    assert told["first_refused"][0]["pointer"] == "/episode"


@pytest.mark.parametrize("made", ["gzip", "bom", "crlf"])
def test_files_as_clinics_export_them(tmp_path: Path, made: str) -> None:
    """Packed, with a byte order mark, or with Windows line ends: the same findings, nothing refused."""
    plain = ndjson(tmp_path / "plain", COURSE).read_bytes()
    other = {"gzip": gzip.compress(plain), "bom": codecs.BOM_UTF8 + plain, "crlf": plain.replace(b"\n", b"\r\n")}
    (tmp_path / "other").write_bytes(other[made])
    assert found(tmp_path / "other") == found(tmp_path / "plain")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (gzip.compress(json.dumps(COURSE).encode() * 100)[:-20], "cut short"),
        (json.dumps(COURSE).encode(), "one JSON array"),
        (json.dumps(COURSE, indent=1).encode(), "one JSON array"),
        (None, "cannot be read"),
    ],
    ids=["cut", "array", "array in lines", "none"],
)
def test_a_file_of_another_kind_is_named_as_such(tmp_path: Path, content: bytes | None, says: str) -> None:
    """Not a million refused lines, and never half of a file judged as the whole."""
    if content is not None:
        (tmp_path / "e").write_bytes(content)
    with pytest.raises(UnreadableFile, match=says):
        found(tmp_path / "e")


def test_a_rupture_without_an_end_lasts(tmp_path: Path) -> None:
    """No session after its onset is clean."""
    labels = ndjson(tmp_path / "l", [{"client": "anna", "ruptures": [{"onset": 4}]}])
    known = read_labels(labels)["anna", None]
    assert known.within([date(2026, 1, day) for day in range(1, 7)]) == [Label(4, 6)]


@pytest.mark.parametrize(
    ("said", "known"),
    [
        ({"onset_on": "2026-01-08"}, [Label(2, 4)]),
        ({"onset_on": "2026-01-09", "end_on": "2026-01-21"}, [Label(3, 3)]),
        ({"onset_on": "2026-01-09", "end_on": "2026-01-10"}, [Label(3, 3)]),
        ({"onset_on": "2025-01-01", "end_on": "2026-01-08"}, [Label(1, 2)]),
        ({"onset_on": "2026-02-01"}, []),
    ],
    ids=["on the day of a session", "between", "over before the next", "before the first", "after the last"],
)
def test_days_are_as_good_as_numbers(tmp_path: Path, said: dict[str, str], known: list[Label]) -> None:
    """The first session on or after the one, the last on or before the other; sessions are weekly from 1 January."""
    labels = ndjson(tmp_path / "l", [{"client": "anna", "ruptures": [said]}])
    weekly = [date(2026, 1, 1 + 7 * week) for week in range(4)]
    assert read_labels(labels)["anna", None].within(weekly) == known


def test_a_rupture_begins_with_a_number_or_a_day(tmp_path: Path) -> None:
    """Neither, both, or one of each: refused with what is expected."""
    for wrong in ({}, {"onset": 2, "onset_on": "2026-01-08"}, {"onset": 2, "end_on": "2026-01-08"}):
        with pytest.raises(BadLabels, match="onset"):
            read_labels(ndjson(tmp_path / "l", [{"client": "anna", "ruptures": [wrong]}]))


def test_progress_ends_at_the_end(tmp_path: Path) -> None:
    """The file's bytes, once as they are read and once as they are lived through, packed or not."""
    events = tmp_path / "e.gz"
    events.write_bytes(gzip.compress("".join(f"{json.dumps(each)}\n" for each in COURSE * 300).encode()))
    told: list[int] = []
    backtest(Request(events, (policy_of("fic-default-2"),), {}), told.append)
    assert sum(told) == pytest.approx(2 * events.stat().st_size, rel=0.01)


def test_what_makes_figures_doubtful_is_said(tmp_path: Path) -> None:
    """Courses without an end, labels that fit nothing, and ratings that vary more than the parameters expect."""
    drawn = random.Random(4)
    wild = [
        rated(number, round(drawn.uniform(5, 40), 1))
        | {"id": f"{name}{number}", "client": name, "session": f"{name}{number}"}
        for name in map(str, range(30))
        for number in range(1, 11)
    ]
    labels = ndjson(tmp_path / "l", [{"client": "0", "ruptures": [{"onset": 11}]}, {"client": "nobody"}])
    told = found(ndjson(tmp_path / "e", [*wild, "{"]), labels)
    said = "\n".join(doubts(told, 2, fitted=False))
    for part in ("1 line was", "no episode.closed", "attune fit", "1 of 2 labels", "1 labelled ruptures"):
        assert part in said
    assert "attune fit" not in "\n".join(doubts(told, 2, fitted=True))


def test_a_change_of_policy_is_shown_with_courses_on_which_it_matters(tmp_path: Path) -> None:
    """In words and as JSON: what changed, how much more or less there is to read, and where; never whose."""
    changed = json.loads(policies.written(policy_of("fic-default-2"))) | {"name": "ours"}
    changed["rules"][0]["bounds"][0]["threshold"] = 1e-9
    (tmp_path / "ours.json").write_text(json.dumps(changed))
    events = ndjson(tmp_path / "e", COURSE)
    asked = ("policy", "diff", "fic-default-2", str(tmp_path / "ours.json"), "--cores", "1", "--events", str(events))
    told = [StringIO(), StringIO()]
    for out, more in zip(told, ((), ("--json",)), strict=True):
        made = Invocation({}, out=Console(file=out, soft_wrap=True), say=Console(file=StringIO()))
        assert main((*asked, *more), made) == 0
    words, data = told[0].getvalue(), json.loads(told[1].getvalue())
    assert "a rule held in session 4 before, nowhere after" in words
    assert "anna" not in words + json.dumps(data)
    assert data["words"]
    assert (data["meant"]["overlap"][0]["only_that"], len(data["examples"])) == (1, 1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": "fic-default-2"}, "a change is a new name"),
        ({"colour": 1}, "nothing is called colour"),
        ({"rules": []}, "at least one"),
        ({"rules": [{"name": "x", "rank": 1, "kind": "level", "detector": "level", "bounds": []}]}, "its kind one of"),
        ({"cooldown_sessions": "many"}, "cooldown_sessions"),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)
def test_a_policy_that_cannot_be_decided_under_is_refused(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    """With the place and what was expected, before anything is lived through or set."""
    given = json.loads(policies.written(policy_of("high-sens-1"))) | {"name": "ours"} | change
    (tmp_path / "p.json").write_text(json.dumps(given))
    with pytest.raises(ConfigurationError, match=says):
        policy_of(str(tmp_path / "p.json"))


def test_textbook_rules_stand_beside_policies(tmp_path: Path) -> None:
    """As published: a conventional cut-off holds in every session below it, a chart waits for its baseline."""
    totals = (38.0, 38.4, 37.9, 38.2, 38.1, 38.3, 38.0, 38.2, 38.1, 25.0, 35.9, 38.0)
    events = [
        {"type": "rating.submitted", "id": f"r{at}", "client": "anna", "occurred_at": f"2026-03-{at + 1:02d}T10:00:00Z"}
        | {"rating": {"instrument": "srs@3", "total": total}}
        for at, total in enumerate(totals)
    ]
    path = ndjson(tmp_path / "e", events)
    names = known(["cut-off-36", "individuals-chart-8", "cut-off-36"])
    tally = backtest(Request(path, (policy_of("fic-default-2"),), {}, textbook=names), lambda _: None)
    assert names == ("cut-off-36", "individuals-chart-8")
    assert [each.flagged for each in tally.policies][1:] == [2, 1]
    assert [each.alerts for each in tally.policies][1:] == [1, 1], "the next is within the cooldown"
    with pytest.raises(ConfigurationError, match="no textbook rule nelson"):
        known(["nelson"])
