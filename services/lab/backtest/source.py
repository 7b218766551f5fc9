"""A clinic's recorded events, from a file of any size: cut by client, then read as the facts they become.

Lines are posted events (what `attune post` takes, plain or CloudEvents) or facts as the inbox keeps them. The clock is
the feed's: what a client's latest event says, in the order of the file.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from schemas.errors import ContractError
from schemas.posted import PostedFact, PostedIdentity, PostedRating
from services.ingest.envelopes import is_cloud_event, plain
from services.ingest.episodes import MAX_FACTS, Courses, EpisodeFull
from services.ingest.handlers import check
from services.lab.backtest.lines import lines
from services.scoring import wire
from services.scoring.domain.facts import DAY, Fact, Rating

_LATE: Final = datetime(9000, 1, 1, tzinfo=UTC)
"""Any time in care is past: a caseload may be dated as it likes."""
_LAST: Final = wire.micros(_LATE)
_CLIENT: Final = UUID(int=0)
"""Courses are placed for one client at a time."""


class Fault(NamedTuple):
    """A line that is no event: where in it, and what was expected. Never what was there."""

    line: int
    pointer: str
    expected: str


@dataclass(slots=True)
class Known:
    """One client's facts by episode, in the order they came; `names`: the clinic's own references of the episodes."""

    client: str
    facts: list[tuple[str, Fact]] = field(default_factory=list)
    names: dict[str, str | None] = field(default_factory=dict)


class _Whose(msgspec.Struct):
    client: str | None = None
    client_id: str | None = None
    subject: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"")


class _Inner(msgspec.Struct):
    client: str | None = None


_WHOSE = msgspec.json.Decoder(_Whose)
_INNER = msgspec.json.Decoder(_Inner)


def cut(path: Path, into: Path, parts: int, told: Callable[[int], None]) -> list[Path]:
    """Copies each line, its number before it, to the part of its client. Bounded memory, whatever the size.

    Raises:
        UnreadableFile: no such file, or one that cannot be read to its end.
    """
    paths = [into / f"{part:04d}.ndjson" for part in range(parts)]
    with ExitStack() as stack:
        files = [stack.enter_context(each.open("wb")) for each in paths]
        for number, line in lines(path, told):
            files[zlib.crc32(_whose(line)) % parts].write(b"%d %s\n" % (number, line))
    return paths


def _whose(line: bytes) -> bytes:
    """Whose line it is; a line that does not say is nobody's, and is found faulty later."""
    try:
        found = _WHOSE.decode(line)
        inner = _INNER.decode(found.data).client if found.data else None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return b""
    return (inner or found.client or found.client_id or found.subject or "").encode()


class _When(msgspec.Struct):
    occurred_at: datetime | None = None
    time: datetime | None = None
    recorded_at: datetime | None = None
    version: int = 1


_WHEN = msgspec.json.Decoder(_When)


class Census(NamedTuple):
    """What a part tells before it is lived through. Times in microseconds since 1970."""

    clients: int
    latest: int
    lines: int
    late: int
    """Posted events, corrections and repeats aside, that are over a day older than one of that client before them."""


def census(part: Path) -> Census:
    """How many clients a part has, the latest time it knows, and whether its lines come as they became known."""
    newest: dict[bytes, int] = {}
    seen: set[int] = set()
    late = 0
    with part.open("rb") as file:
        for line in file:
            text = line.partition(b" ")[2]
            whose, (at, counts) = _whose(text), _when(text)
            before = newest.get(whose, 0)
            late += counts and at < before - DAY and hash(text) not in seen
            newest[whose] = max(before, at)
            seen.add(hash(text))
    return Census(len(newest.keys() - {b""}), max(newest.values(), default=0), len(seen), late)


def _when(text: bytes) -> tuple[int, bool]:
    """When it became known, as far as a line says, and whether that tells of the order of lines."""
    try:
        when = _WHEN.decode(text)
        known = when.recorded_at or when.occurred_at or when.time
        at = wire.micros(known) if known is not None and known.tzinfo is not None else None
    except (msgspec.DecodeError, UnicodeDecodeError, OverflowError):
        return 0, False
    if at is None or at > _LAST:
        return 0, False
    return at, when.recorded_at is None and when.version == 1


def clients(part: Path, *, in_order_of_care: bool = False) -> Iterator[Known | Fault]:
    """Every client of one part, with their facts; faults come first."""
    known: dict[str, _Reader] = {}
    with part.open("rb") as file:
        taken_in = sorted(file, key=lambda line: _when(line.partition(b" ")[2])[0]) if in_order_of_care else file
        for line in taken_in:
            number, _, text = line.partition(b" ")
            try:
                taken = _take(known, text)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                taken = ("", "one JSON object a line")
            except EpisodeFull:
                taken = ("/episode", f"at most {MAX_FACTS:,} events in one episode")
            if taken is not None:
                yield Fault(int(number), *taken)
    for reader in known.values():
        reader.known.facts.sort(key=lambda each: each[1].recorded_at)
        yield reader.known


def _take(known: dict[str, _Reader], text: bytes) -> tuple[str, str] | None:
    """Take in a line, or say what is wrong with it."""
    event = msgspec.json.decode(text)
    body = event.get("data") if isinstance(event, dict) and is_cloud_event(event) else event
    if isinstance(body, dict) and "fact_id" in body:
        return _take_fact(known, text)
    checked = check(plain(event), _LATE)
    if isinstance(checked, tuple):
        return checked[0].pointer, checked[0].expected or checked[0].detail
    if isinstance(checked, PostedIdentity):
        return "/type", "one reference for one person throughout: merges are the door's to take"
    reader = known.get(checked.client)
    if reader is None:
        reader = known[checked.client] = _Reader(checked.client)
    reader.take(checked)
    return None


def _take_fact(known: dict[str, _Reader], text: bytes) -> tuple[str, str] | None:
    try:
        fact = wire.decode(text, ())
    except ContractError as error:
        return "", error.reason
    reader = known.setdefault(fact.client_id, _Reader(fact.client_id))
    reader.known.facts.append((fact.episode_id, wire.to_domain(fact)))
    reader.known.names.setdefault(fact.episode_id, fact.episode_id)
    return None


class _Reader:
    """One client's posted events become facts, placed in episodes as the door places them.

    Ids are numbers in the form of surrogates: within one client that is enough.
    """

    def __init__(self, client: str) -> None:
        self.known = Known(client)
        self._ids: dict[tuple[str, ...], str] = {}
        self._references: dict[str, UUID] = {}
        self._courses = Courses(lambda *parts: UUID(self._id(*parts)))
        self._clock = 0

    def take(self, event: PostedFact) -> None:
        occurred_at = wire.micros(event.occurred_at)
        self._clock = max(self._clock + 1, occurred_at)
        reference = None if event.episode is None else self._reference(event.episode)
        episode = str(self._courses.place(_CLIENT, reference, event.type, event.occurred_at))
        if self.known.names.get(episode) is None:
            self.known.names[episode] = event.episode
        self.known.facts.append((episode, self._fact(event, occurred_at)))

    def _fact(self, event: PostedFact, occurred_at: int) -> Fact:
        record = self._id("record", event.source, event.id)
        said = vars(event)  # asking a model for a field it does not have costs microseconds
        starts_at = said.get("starts_at")
        begins = occurred_at if starts_at is None else wire.micros(starts_at)
        return Fact(
            fact_id=f"{record}.{event.version}",
            record_id=record,
            version=event.version,
            kind=event.type,
            occurred_at=occurred_at,
            recorded_at=self._clock,
            session_id=None if event.session is None else self._id("session", event.session),
            clinician_id=event.clinician,
            clock="feed",
            rating=_rating(said.get("rating")),
            starts_at=begins if event.type.startswith("session.") else None,
        )

    def _reference(self, episode: str) -> UUID:
        known = self._references.get(episode)
        if known is None:
            known = self._references[episode] = UUID(self._id("episode", episode))
        return known

    def _id(self, *name: str) -> str:
        return self._ids.setdefault(name, f"{len(self._ids) + 1:032x}")


def _rating(given: PostedRating | None) -> Rating | None:
    if given is None:
        return None
    return Rating(given.instrument, given.rater, given.items, given.total, given.seconds_to_complete)
