"""CSV by a mapping: what fits becomes an event, what does not is one clear line that repeats no cell."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cli.documents import Document, Misfit, Unreadable, read_csv, read_ndjson
from services.cli.feed import batches, check
from services.cli.mapping import BadMapping, RowFault, demand_columns, read_mapping, to_event

ROOT = Path(__file__).resolve().parents[2]
SURVEY = (ROOT / "docs/integrate/srs-survey.mapping.toml").read_text(encoding="utf-8")
HEADER = "pairing_id,session_id,relationship,goals_and_topics,approach_or_method,overall"
ROW = dict(zip(HEADER.split(","), ("17", "3", "7.0", "2.5", "3.0", "3.5"), strict=True))
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_a_row_becomes_the_event_that_the_mapping_says() -> None:
    """Ids are built from columns, the date from a start and seven days a session."""
    event = to_event(read_mapping(SURVEY), ROW)
    assert event["client"] == "17"
    assert event["id"] == "srs-17-3"
    assert event["occurred_at"] == "2025-01-27T10:00:00+00:00"
    assert event["rating"]["items"] == {
        "relationship": 7.0,
        "goals_and_topics": 2.5,
        "approach_or_method": 3.0,
        "overall": 3.5,
    }


def test_the_start_may_be_given_on_the_command_line() -> None:
    """--start takes the place of the mapping's."""
    event = to_event(read_mapping(SURVEY, start=datetime(2026, 2, 2, 9, tzinfo=UTC)), ROW)
    assert event["occurred_at"] == "2026-02-23T09:00:00+00:00"


def test_an_empty_cell_is_missing_not_zero() -> None:
    """Missing is None."""
    assert to_event(read_mapping(SURVEY), {**ROW, "overall": " "})["rating"]["items"]["overall"] is None


@pytest.mark.parametrize(("cell", "pointer"), [("overall", "/rating/items/overall"), ("session_id", "/occurred_at")])
@given(text=st.text(min_size=3).filter(lambda text: text.strip() and not _is_number(text)))
def test_a_bad_cell_names_its_place_and_never_its_content(cell: str, pointer: str, text: str) -> None:
    """Whatever stands in a number's cell, the fault is its place and what was expected."""
    with pytest.raises(RowFault) as caught:
        to_event(read_mapping(SURVEY), {**ROW, cell: text})
    assert caught.value.pointer == pointer
    assert "number" in caught.value.expected


@given(number=st.sampled_from(["nan", "inf", "-inf", "1e400"]))
def test_numbers_are_finite(number: str) -> None:
    """NaN and infinity are no answers."""
    with pytest.raises(RowFault):
        to_event(read_mapping(SURVEY), {**ROW, "overall": number})


@given(missing=st.sampled_from(HEADER.split(",")))
def test_a_column_that_is_not_there_is_named(missing: str) -> None:
    """One line: the mapping's place, the column, and which columns there are."""
    header = [column for column in HEADER.split(",") if column != missing]
    with pytest.raises(BadMapping) as caught:
        demand_columns(read_mapping(SURVEY), header)
    assert repr(missing) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert header[0] in caught.value.hint


@pytest.mark.parametrize(
    ("broken", "names"),
    [
        ("[event", "TOML"),
        (SURVEY.replace("client =", "cleint ="), "client"),
        (SURVEY.replace("rater =", "ratr ="), "ratr"),
        (SURVEY.replace("add = {", "# add = {"), "occurred_at"),
        (SURVEY.replace("start = 2025", "# start = 2025"), "start"),
        (SURVEY.replace("days = 7", 'days = "seven"'), "days"),
        (SURVEY.replace("start =", 'timezone = "Mars/Olympus"\nstart ='), "timezone"),
    ],
)
def test_a_bad_mapping_is_one_clear_line(broken: str, names: str) -> None:
    """What is wrong with a mapping is said in one line that names the place."""
    with pytest.raises(BadMapping) as caught:
        read_mapping(broken)
    assert names in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.hint


@given(garbage=st.text(max_size=200))
def test_no_text_is_a_crash(garbage: str) -> None:
    """Whatever stands in the file, the answer is a mapping or a BadMapping."""
    with pytest.raises(BadMapping):
        read_mapping(garbage)


def test_local_times_keep_their_zone(tmp_path: Path) -> None:
    """A time without an offset is in the mapping's zone, summer and winter."""
    text = '[event]\ntype = "session.attended"\nid = "{n}"\nclient = "{c}"\nsession = "{n}"\n'
    text += '[occurred_at]\ncolumn = "at"\nformat = "%d.%m.%Y %H:%M"\ntimezone = "Europe/Berlin"\n'
    path = tmp_path / "visits.csv"
    path.write_text("n,c,at\n1,C-1,01.07.2025 10:00\n2,C-1,01.12.2025 10:00\n3,C-1,tomorrow\n", encoding="utf-8")
    summer, winter, bad = read_csv(path, read_mapping(text))
    assert isinstance(summer, Document)
    assert isinstance(winter, Document)
    assert b"2025-07-01T10:00:00+02:00" in summer.body
    assert b"2025-12-01T10:00:00+01:00" in winter.body
    assert bad == Misfit(4, "/occurred_at", "a time like %d.%m.%Y %H:%M")


def test_lines_that_are_no_events_are_counted_with_their_number(tmp_path: Path) -> None:
    """A bad line is refused by its number; the others go on, plain or CloudEvents."""
    good = '{"id":"1","type":"session.missed","client":"C-1","session":"s","occurred_at":"2026-01-05T10:00:00Z"}'
    cloud = (
        '{"specversion":"1.0","id":"2","source":"ehr","type":"session.missed","subject":"C-1",'
        '"time":"2026-01-05T10:00:00Z","data":{"session":"s2"}}'
    )
    path = tmp_path / "events.ndjson"
    path.write_text(f"{good}\n\nnot json\n[1]\n{cloud}\n{good.replace('session.missed', 'session.mist')}\n")
    tally = check(read_ndjson(path), NOW)
    assert (tally.accepted, tally.refused) == (2, 3)
    assert [one.line for one in tally.reasons] == [3, 4, 6]


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    """One line, with what to do."""
    with pytest.raises(Unreadable, match="cannot be read"):
        list(read_ndjson(tmp_path / "none"))


@given(days=st.lists(st.integers(0, 20), max_size=40), size=st.integers(1, 7))
def test_as_live_keeps_time(days: list[int], size: int) -> None:
    """As live, batches follow the calendar, every event is in one of them, and none comes before its clock."""
    documents = [Document(n, b"{}", datetime(2026, 1, 1 + day, 9, tzinfo=UTC)) for n, day in enumerate(days)]
    made = list(batches(documents, size, as_live=True))
    assert sorted(one.line for batch in made for one in batch.documents) == list(range(len(days)))
    clocks = [batch.clock for batch in made if batch.clock]
    assert clocks == sorted(clocks)
    assert all(
        one.occurred_at and batch.clock and one.occurred_at <= batch.clock for batch in made for one in batch.documents
    )
    assert all(len(batch.documents) <= size for batch in made)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
