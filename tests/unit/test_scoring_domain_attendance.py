"""Who came, and from when on silence is worth a word."""

from __future__ import annotations

from services.scoring.domain.attendance import Attendance, Silence, diary, read, silence
from services.scoring.domain.config import DEFAULT
from services.scoring.domain.facts import DAY, Fact, Kind, Rating

CONFIG = DEFAULT.attendance


def session(day: int, kind: Kind = "session.attended", *, of: str | None = None, told_on: int | None = None) -> Fact:
    """A session on a day, `of` an appointment named otherwise, known from another day."""
    name = of or f"day-{day}"
    record = f"{name}/{kind}/{told_on}"
    moment = (day if told_on is None else told_on) * DAY
    return Fact(record, record, 1, kind, moment, moment, session_id=name, starts_at=day * DAY)


def rating(day: int, *, of: str) -> Fact:
    record = f"rating/{of}"
    return Fact(
        record, record, 1, "rating.submitted", day * DAY, day * DAY, session_id=of, rating=Rating("srs@3", "client")
    )


def attendance(*facts: Fact, known_on: int = 0) -> Attendance:
    return read(CONFIG, diary(facts), known_on * DAY)


def deadlines(*facts: Fact) -> tuple[float, float] | None:
    found: Silence | None = silence(CONFIG, diary(facts), attendance(*facts))
    return (found.amber_at / DAY, found.red_at / DAY) if found else None


def test_silence_is_three_weeks_and_four() -> None:
    """With no gap of the client's own yet: 21 and 28 days after the last session attended."""
    assert deadlines(session(0)) == (21, 28)
    assert deadlines(session(0), session(7)) == (28, 35)


def test_a_client_who_comes_monthly_is_given_longer() -> None:
    """2.5 and 3 times the client's own median gap where that is more: gaps of 28 days give 70 and 84."""
    assert deadlines(session(0), session(28), session(56)) == (126, 140)


def test_a_booking_ahead_is_no_silence() -> None:
    """The deadlines lie a day after the last booking, so that the clinic can record what came of it."""
    assert deadlines(session(0), session(40, "session.booked")) == (41, 41)
    assert deadlines(session(0), session(10, "session.booked")) == (21, 28)


def test_a_cancelled_booking_no_longer_holds_the_deadline() -> None:
    """Once cancelled, silence is counted from the last session again."""
    booked, cancelled = session(40, "session.booked", told_on=1), session(40, "session.cancelled", told_on=5)
    assert deadlines(session(0), booked, cancelled) == (21, 28)


def test_nobody_came_yet_is_no_silence_unless_somebody_stayed_away() -> None:
    """Before the first session there is no deadline; a missed first session starts one."""
    assert deadlines() is None
    assert deadlines(session(3, "session.booked")) is None
    assert deadlines(session(3, "session.missed")) == (24, 31)


def test_the_later_word_on_an_appointment_counts() -> None:
    """Booked, then missed: missed; recorded in the other order the same."""
    booked, missed = session(9, "session.booked", told_on=2), session(9, "session.missed", told_on=9)
    assert attendance(booked, missed) == attendance(missed, booked)
    assert attendance(booked, missed).missed == 1


def test_of_words_at_one_time_the_one_that_says_more_counts() -> None:
    """Booked < cancelled < missed < attended."""
    words: list[Kind] = ["session.attended", "session.booked", "session.missed", "session.cancelled"]
    (appointment,) = attendance(*(session(9, word) for word in words)).appointments
    assert appointment.outcome == "attended"


def test_somebody_who_rated_was_there() -> None:
    """A rating implies its session was attended, whatever was recorded of it."""
    seen = attendance(session(9, "session.missed", of="s"), rating(9, of="s"))
    assert (seen.attended, seen.missed, seen.last_attended_at) == (1, 0, 9 * DAY)


def test_counts_and_gaps() -> None:
    """Cancelled sessions are counted apart: they are no no-shows, and no sign of the last three."""
    seen = attendance(
        session(0),
        session(7, "session.missed"),
        session(14),
        session(21, "session.cancelled"),
        session(28),
        session(35, "session.missed"),
    )
    assert (seen.attended, seen.missed, seen.cancelled, seen.missed_of_last_three) == (3, 2, 1, 1)
    assert (seen.median_gap_days, seen.last_attended_at) == (14, 28 * DAY)
    assert seen.missed_before_third


def test_a_no_show_after_the_third_session_is_not_early() -> None:
    """Early means before the client came for the third time."""
    assert not attendance(session(0), session(7), session(14), session(21, "session.missed")).missed_before_third
    assert attendance(session(0), session(7), session(14, "session.missed")).missed_before_third


def test_the_next_booking_is_the_first_after_what_is_known() -> None:
    """Bookings before the latest recording are not ahead, even where nobody said what came of them."""
    facts = [session(0), session(5, "session.booked"), session(30, "session.booked"), session(20, "session.booked")]
    assert attendance(*facts, known_on=10).next_booking_at == 20 * DAY
    assert attendance(*facts, known_on=30).next_booking_at is None


def test_the_reason_says_days_and_the_clients_own_gap() -> None:
    """What a clinician reads at the deadline, with this client's usual where it is known."""
    facts = (session(0), session(7), session(14))
    found = silence(CONFIG, diary(facts), attendance(*facts))
    assert found is not None
    assert found.reason == "no session attended for 21 days and none booked; this client's usual gap is 7 days"
