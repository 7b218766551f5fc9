"""The words of the clinician's pages, held to what the life cycle accepts."""

from services.alerts.acts import RESOLUTIONS
from services.alerts.web import words


def test_every_reason_accepted_has_its_words_and_no_other_is_offered() -> None:
    """A page offers exactly the reasons that resolving accepts, in the same order."""
    assert tuple(words.RESOLUTIONS) == RESOLUTIONS
