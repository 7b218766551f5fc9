"""An episode worked out anew from its facts, and held against what stands of it. Pure.

What scoring and alerts say of an episode is a function of its facts; so whatever happened on the road, one worker, one
chunk and one decision must end in the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from schemas import codec
from schemas.events import EpisodeSnapshot, Reading
from schemas.topics import ALLIANCE_SCORES
from services.alerts.adapters.contracts import case_of
from services.alerts.domain.live_policy import LivePolicy, decided
from services.alerts.domain.policy import Policy
from services.alerts.domain.reconcile import Change, Stored, reconcile
from services.alerts.domain.record import Done
from services.scoring import wire
from services.scoring.conclusions import Episode, messages
from services.scoring.domain.config import DEFAULT
from services.scoring.domain.pinning import InForce, pinned
from services.scoring.handlers import on_dead, on_facts

ENVELOPE: Final = frozenset({"revision", "causes", "known_at", "clock"})
"""What tells when and from what a reading was made, not what it says."""
RATED: Final = frozenset({"rupture-possible", "slow-decline"})
"""Alerts that follow from ratings alone. What follows from silence depends on the hour, and is the sweep's."""


@dataclass(frozen=True, slots=True)
class Recomputed:
    """What should stand of one episode."""

    snapshot: EpisodeSnapshot
    readings: Mapping[UUID, Reading]


@dataclass(frozen=True, slots=True)
class Standing:
    """What does stand of it in alerts' records, and what people did to its alerts."""

    readings: Mapping[UUID, Reading]
    alerts: Mapping[UUID, Stored]
    acts: Mapping[UUID, tuple[Done, ...]] = field(default_factory=dict)
    facts: int = 0


@dataclass(frozen=True, slots=True)
class Clinic:
    """Of the clinic, what decisions look at."""

    clients: int
    as_of: datetime
    live: LivePolicy | None = None
    """Where it has, or had, a policy of its own."""


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """One field of one thing that is not as it should be. No values: whoever may see them looks there."""

    what: str
    about: UUID
    name: str


def recompute(
    facts: Iterable[bytes], dead: Collection[str] = (), versions: Sequence[InForce] = ()
) -> Recomputed | None:
    """The episode of these facts, as published; those whose ids are `dead` could not be taken in.

    `versions`: of the clinic's own parameters, ascending.

    None where that leaves nothing.
    """
    decoded = [wire.decode(value, ()) for value in facts]
    alive = [fact for fact in decoded if fact.fact_id not in dead and fact.type not in wire.UNSUPPORTED]
    if not alive:
        return None
    held = None
    for fact_id in sorted(dead):
        held = on_dead(DEFAULT, held, fact_id)
    taken = [wire.to_domain(fact) for fact in alive]
    _, said = on_facts(pinned(versions, {}, taken), held, taken)
    records = messages(Episode.of(alive[0]), said)
    events = [codec.decode(ALLIANCE_SCORES, record.value) for record in records]
    readings = {event.rating_id: event for event in events if isinstance(event, Reading)}
    return Recomputed(next(each for each in events if isinstance(each, EpisodeSnapshot)), readings)


def differences(policy: Policy, should: Recomputed, stands: Standing, clinic: Clinic) -> list[Difference]:
    """Whatever is not as it should be; nothing where all is well."""
    found = set(_of_readings(should, stands))
    if should.snapshot.revision.facts != stands.facts:
        found.add(Difference("episode", should.snapshot.episode_id, "facts"))
    case = case_of(should.snapshot, should.readings.values(), stands.acts, clients=clinic.clients, as_of=clinic.as_of)
    live = clinic.live or LivePolicy(policy)
    wanted = [alert for alert in decided(live, case, stands.alerts) if alert.kind in RATED]
    stored = {alert_id: alert for alert_id, alert in stands.alerts.items() if alert.kind in RATED}
    found |= {_of_alert(change, stored.get(change.alert_id)) for change in reconcile(stored, wanted)}
    return sorted(found)


def _of_readings(should: Recomputed, stands: Standing) -> Iterator[Difference]:
    for rating in should.readings.keys() ^ stands.readings.keys():
        yield Difference("reading", rating, "missing" if rating in should.readings else "unfounded")
    exclude = ENVELOPE | ({"incomplete"} if should.snapshot.incomplete else set())
    for rating in should.readings.keys() & stands.readings.keys():
        ours, theirs = (_content(each.readings[rating], exclude) for each in (should, stands))
        yield from (Difference("reading", rating, name) for name in ours if ours[name] != theirs[name])


def _content(reading: Reading, exclude: Collection[str]) -> dict[str, Any]:
    return reading.model_dump(exclude=set(exclude))


def _of_alert(change: Change, stored: Stored | None) -> Difference:
    if stored is None:
        return Difference("alert", change.alert_id, "missing")
    if change.wanted is None:
        return Difference("alert", change.alert_id, "unfounded")
    return Difference("alert", change.alert_id, "state" if change.state != stored.state else "content")
