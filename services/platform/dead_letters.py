"""Dead letters: the original bytes with where, why and how often in the headers; and a limit on them.

One bad record is set aside so that its partition goes on. When too large a share of what arrives is bad, the fault is
ours (a deploy, a schema), and setting everything aside would drain the topic: then the service stops and says so.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

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
    attempt = 1 + max((number(content) for name, content in record.headers if name == "dl_attempt"), default=0)
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


def number(content: bytes | None, digits: int = 9) -> int:
    """The number in a header; 0 where it holds none, or a longer one: anybody may write headers, and stop no reader.

    >>> number(b"7"), number(b"seven"), number(None), number(b"9" * 40)
    (7, 0, 0, 0)
    """
    return int(content) if content and content.isdigit() and len(content) <= digits else 0


class Fault(NamedTuple):
    """Why a record is bad, and whose it is: `None` where its key does not tell."""

    code: str
    tenant: str | None


def fault(code: str, key: bytes | None) -> Fault:
    """The fault of a record with this key.

    >>> fault("undecodable", b"5f0c1a2e-7b1d-4c33-9a4e-000000000001:5f0c1a2e-7b1d-4c33-9a4e-000000000002").tenant
    '5f0c1a2e-7b1d-4c33-9a4e-000000000001'
    >>> fault("undecodable", b"no key of ours").tenant is None
    True
    """
    tenant, _, _ = (key or b"").decode("utf-8", "replace").partition(":")
    try:
        return Fault(code, str(UUID(tenant)))
    except ValueError:
        return Fault(code, None)


@dataclass(slots=True)
class DeadLetterLimit:
    """Looks at the last `window` records. One cause in more than `share` of them, and in `least` at least, is a stop.

    But only where that holds without the tenant it strikes most: what is left of the window must be as bad by itself,
    in `others` records at least. So a clinic that sends nothing but bad records never stops the others, even where
    one of them sends a bad record too. Records whose tenant nobody can tell count as somebody else's.
    """

    window: int = 1_000
    share: float = 0.5
    least: int = 50
    others: int = 10
    _recent: deque[Fault | None] = field(default_factory=deque)
    _faults: Counter[Fault] = field(default_factory=Counter)

    def saw(self, *, good: int = 0, bad: Sequence[Fault] = ()) -> None:
        """Count records.

        Raises:
            TooManyDeadLetters: the limit is reached.
        """
        self._recent.extend((None,) * min(good, self.window))
        self._recent.extend(bad)
        self._faults.update(bad)
        while len(self._recent) > self.window:
            gone = self._recent.popleft()
            if gone is not None:
                self._forget(gone)
        for code in {each.code for each in bad}:
            self._judge(code)

    def _forget(self, gone: Fault) -> None:
        self._faults[gone] -= 1
        if not self._faults[gone]:
            del self._faults[gone]

    def _judge(self, code: str) -> None:
        struck = {each.tenant: count for each, count in self._faults.items() if each.code == code}
        count, seen = sum(struck.values()), len(self._recent)
        most = max((count for tenant, count in struck.items() if tenant), default=0)
        widely = count - most >= self.others and count - most > self.share * (seen - most)
        if widely and count >= self.least and count > self.share * seen:
            raise TooManyDeadLetters(
                f"{count} of the last {seen} records are bad, all by {code}",
                hint="look at the dead letters' reasons; roll back the last deploy or fix the sender, then restart",
            )
