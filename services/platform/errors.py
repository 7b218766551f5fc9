"""What can go wrong below the services.

AttuneError                   a clear line for a person, with what to do next
├── ConfigurationError        settings or secrets are missing, default or contradictory
├── Unavailable               Kafka, PostgreSQL or another service does not answer; trying again may help
└── Refused                   the request is understood and not allowed as things stand
"""

from __future__ import annotations


class AttuneError(Exception):
    """An expected failure. `str()` is one line that says what is wrong; `hint` says what to do next."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ConfigurationError(AttuneError):
    """Settings or secrets are missing, default or contradictory."""


class Unavailable(AttuneError):
    """Something this depends on does not answer; trying again may help."""


class Refused(AttuneError):
    """Understood, and not allowed as things stand."""
