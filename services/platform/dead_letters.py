"""Dead letters: the original bytes with where, why and how often in the headers; and a limit on them.

One bad record is set aside so that its partition goes on. When too large a share of what arrives is bad, the fault is
ours (a deploy, a schema), and setting everything aside would drain the topic: then the service stops and says so.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from services.platform.errors import AttuneError


class TooManyDeadLetters(AttuneError):
    """A large share of the input is bad: stop, page, do not drain."""


class Origin(NamedTuple):
    """Where a record lay."""

    topic: str
    partition: int
    offset: int


class RawRecord(NamedTuple):
    """A record as it came, or as it goes to the topic `dead-letters`, where it keeps its partition."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


def dead_letter(origin: Origin, record: RawRecord, *, code: str, reason: str) -> RawRecord:
    """The dead letter of a record. `reason` must not quote the record."""
    kept = tuple((name, content) for name, content in record.headers if not name.startswith("dl_"))
    attempt = 1 + max((int(content) for name, content in record.headers if name == "dl_attempt"), default=0)
    about = {
        "dl_topic": origin.topic,
        "dl_partition": origin.partition,
        "dl_offset": origin.offset,
        "dl_code": code,
        "dl_reason": reason,
        "dl_attempt": attempt,
    }
    return RawRecord(
        record.key, record.value, kept + tuple((name, str(content).encode()) for name, content in about.items())
    )


@dataclass(slots=True)
class DeadLetterLimit:
    """Counts the last `window` records; more than `share` of them bad, and at least `least`, is a stop."""

    window: int = 1_000
    share: float = 0.5
    least: int = 50
    _recent: deque[bool] = field(default_factory=deque)
    _bad: int = 0

    def saw(self, *, good: int = 0, bad: int = 0) -> None:
        """Count records.

        Raises:
            TooManyDeadLetters: the limit is reached.
        """
        for outcome in (False,) * good + (True,) * bad:
            self._recent.append(outcome)
            self._bad += outcome
            if len(self._recent) > self.window:
                self._bad -= self._recent.popleft()
        if self._bad >= self.least and self._bad > self.share * len(self._recent):
            raise TooManyDeadLetters(
                f"{self._bad} of the last {len(self._recent)} records are bad",
                hint="look at the dead letters' reasons; roll back the last deploy or fix the sender, then restart",
            )
