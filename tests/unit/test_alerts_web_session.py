"""The sign-in cookie: ours, whole, in time, and without anybody's name in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from services.alerts.web.records import Viewer
from services.alerts.web.session import LIFETIME, Signer

NOW = datetime(2026, 3, 20, 9, tzinfo=UTC)
SIGNER = Signer(bytes(range(32)))
VIEWER = Viewer(UUID(int=1), UUID(int=2))


def test_a_session_is_read_back_as_it_was_written() -> None:
    """Tenant and clinician survive the round trip, and so does nobody."""
    for viewer in (VIEWER, Viewer(UUID(int=1), None), None):
        session = SIGNER.begin(viewer, NOW)
        assert SIGNER.read(SIGNER.write(session), NOW) == session


def test_a_session_ends() -> None:
    """After its lifetime the cookie is worth nothing."""
    cookie = SIGNER.write(SIGNER.begin(VIEWER, NOW))
    assert SIGNER.read(cookie, NOW + LIFETIME - timedelta(seconds=1))
    assert SIGNER.read(cookie, NOW + LIFETIME) is None


@given(place=st.integers(min_value=0, max_value=400), other=st.characters(codec="ascii"))
def test_a_changed_cookie_is_nobody(place: int, other: str) -> None:
    """Not one character can be changed."""
    cookie = SIGNER.write(SIGNER.begin(VIEWER, NOW))
    changed = cookie[: place % len(cookie)] + other + cookie[place % len(cookie) + 1 :]
    assert changed == cookie or SIGNER.read(changed, NOW) is None


@given(text=st.text(max_size=200))
def test_any_text_can_be_presented_as_a_cookie(text: str) -> None:
    """Nonsense is nobody, never an error."""
    assert SIGNER.read(text, NOW) is None


def test_a_token_belongs_to_one_session() -> None:
    """A form of one session is not accepted in another, nor one sealed under another key."""
    mine, other = SIGNER.begin(VIEWER, NOW), SIGNER.begin(VIEWER, NOW)
    assert SIGNER.is_ours(mine, SIGNER.csrf(mine))
    assert not SIGNER.is_ours(other, SIGNER.csrf(mine))
    assert not SIGNER.is_ours(mine, Signer(bytes(reversed(range(32)))).csrf(mine))
    assert not SIGNER.is_ours(mine, "")
