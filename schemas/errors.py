"""What can be wrong with a message.

ContractError
├── UndecodableEvent       never readable: not JSON, wrong shape, NaN
├── UnknownEvent           a type this reader has never heard of
└── UnknownVersion         a known type in a major version this reader cannot read
"""

from __future__ import annotations


class ContractError(ValueError):
    """A message that its reader must not act upon; `reason` is fit for a log: it never quotes the message."""

    code = "contract"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UndecodableEvent(ContractError):
    """The bytes are not an event: not JSON, a field missing, a wrong type, NaN or a naive time."""

    code = "undecodable"


class UnknownEvent(ContractError):
    """The event type is not one of this topic's."""

    code = "unknown-type"


class UnknownVersion(ContractError):
    """The event type is known, its major version is not: this reader is older than the writer."""

    code = "unknown-version"
