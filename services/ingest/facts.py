"""From a draft and its surrogates to the fact that is published, and to its risk answers. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec

from schemas import events
from schemas.codec import Record, encode
from schemas.events import Fact, RatingFact, RiskAnswered
from schemas.instruments import Instrument, lookup, risk_answers
from schemas.posted import PostedRating
from schemas.topics import RISK_ITEMS, SESSION_EVENTS
from services.ingest.handlers import Draft
from services.platform.outbox import Lane, Outgoing

_MODELS: Mapping[str, type[Fact]] = {
    model.model_fields["type"].default: model
    for model in (
        events.RatingSubmitted,
        events.RatingAmended,
        events.RatingRetracted,
        events.SessionBooked,
        events.SessionAttended,
        events.SessionMissed,
        events.SessionCancelled,
        events.EpisodeOpened,
        events.EpisodeClosed,
        events.EpisodeTransferred,
    )
}
_OWN_FIELDS = ("cancelled_by", "reason")


@dataclass(frozen=True, slots=True)
class Surrogates:
    """Who and what a draft is about, by the ids that may travel."""

    client_id: UUID
    clinician_id: UUID | None
    episode_id: UUID
    session_id: UUID | None


def fact_of(draft: Draft, who: Surrogates) -> Fact:
    """The fact to publish."""
    event, receiving = draft.event, draft.receiving
    model = _MODELS[event.type]
    return model(
        fact_id=draft.fact_id,
        record_id=draft.record_id,
        version=event.version,
        tenant_id=receiving.tenant_id,
        client_id=who.client_id,
        episode_id=who.episode_id,
        clinician_id=who.clinician_id,
        session_id=who.session_id,
        occurred_at=event.occurred_at,
        recorded_at=receiving.now,
        historical=draft.historical,
        clock=receiving.clock,
        **_own(draft),
    )


def _own(draft: Draft) -> dict[str, Any]:
    """The fields that only some facts have."""
    event: Any = draft.event
    own = {name: getattr(event, name) for name in _OWN_FIELDS if hasattr(event, name)}
    if event.type.startswith("session."):
        own["starts_at"] = event.starts_at or event.occurred_at
    rating: PostedRating | None = getattr(event, "rating", None)
    return own | (rating.model_dump() if rating else {})


def outgoing(draft: Draft, fact: Fact, record: Record) -> Iterator[Outgoing]:
    """What a fact sends out: itself, and before it any risk answer."""
    tenant = fact.tenant_id
    for risk in risk_of(fact):
        yield Outgoing(tenant, draft.fact_id, Lane.RISK, RISK_ITEMS.name, sealed(risk))
    lane = Lane.BULK if fact.historical else Lane.LIVE
    yield Outgoing(tenant, draft.fact_id, lane, SESSION_EVENTS.name, record)


def sealed(risk: RiskAnswered) -> Record:
    """The record of a risk answer; its id names the item too, as one form may hold several."""
    return encode(risk, event_id=f"{risk.fact_id}:{risk.item}", source="ingest", time=risk.occurred_at)


def risk_of(fact: Fact) -> list[RiskAnswered]:
    """The risk answers in a rating; of an amended one every risk item, so that an earlier answer is corrected too."""
    instrument = lookup(fact.instrument) if isinstance(fact, RatingFact) else None
    if not isinstance(fact, RatingFact) or not isinstance(instrument, Instrument):
        return []
    answered = {answer.item: answer.urgent for answer in risk_answers(instrument, fact.items)}
    told = dict(answered)
    if fact.version > 1:
        told |= {item.code: answered.get(item.code, False) for item, _ in instrument.risk_items()}
    return [_risk(fact, fact.instrument, item, fact.items.get(item), urgent) for item, urgent in told.items()]


def retracted_risk(retraction: Fact, earlier: bytes) -> list[RiskAnswered]:
    """What takes back the risk answers of a retracted rating, given its earlier fact as published."""
    rating = msgspec.json.decode(earlier)
    instrument = lookup(rating.get("instrument", ""))
    if not isinstance(instrument, Instrument):
        return []
    return [_risk(retraction, instrument.key, item.code, None, urgent=False) for item, _ in instrument.risk_items()]


def _risk(fact: Fact, instrument: str, item: str, value: float | None, urgent: bool) -> RiskAnswered:  # noqa: FBT001 - a field
    shared = {name: getattr(fact, name) for name in Fact.model_fields}
    return RiskAnswered(**shared, instrument=instrument, item=item, value=value, urgent=urgent)
