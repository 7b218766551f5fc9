"""Documents, checked or cut into requests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.cli.documents import Document, Misfit
from services.cli.tally import Tally
from services.ingest import strict_json
from services.ingest.draft import Receiving
from services.ingest.envelopes import plain
from services.ingest.handlers import read
from services.platform.tenants import HISTORICAL_AFTER_DAYS


@dataclass(frozen=True, slots=True)
class Batch:
    """Documents that go in one request, at one clock."""

    documents: list[Document]
    clock: datetime | None


def check(found: Iterable[Document | Misfit], now: datetime) -> Tally:
    """Hold every document to what the door demands, without a door."""
    receiving = Receiving(UUID(int=0), now, "wall", timedelta(days=HISTORICAL_AFTER_DAYS))
    tally = Tally()
    for one in found:
        fault = one if isinstance(one, Misfit) else _first_fault(one, receiving)
        if fault:
            tally.refuse(fault)
        else:
            tally.accepted += 1
    return tally


def _first_fault(document: Document, receiving: Receiving) -> Misfit | None:
    try:
        drafted = read(plain(strict_json.decode(document.body)), receiving)
    except strict_json.BadJson as error:
        return Misfit(document.line, "", str(error))
    if not isinstance(drafted, tuple):
        return None
    return Misfit(document.line, drafted[0].pointer, drafted[0].expected or drafted[0].detail)


def batches(documents: list[Document], size: int, *, as_live: bool) -> Iterator[Batch]:
    """In the file's order; as live in the order of occurrence, a day's end being the clock of that day."""
    if not as_live:
        yield from (Batch(documents[at : at + size], None) for at in range(0, len(documents), size))
        return
    days: dict[str, list[Document]] = {}
    for one in sorted(documents, key=_moment):
        days.setdefault(_moment(one).date().isoformat(), []).append(one)
    for day in days.values():
        yield from (Batch(day[at : at + size], _moment(day[-1])) for at in range(0, len(day), size))


def _moment(document: Document) -> datetime:
    return (document.occurred_at or datetime.min.replace(tzinfo=UTC)).astimezone(UTC)
