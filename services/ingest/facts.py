"""From a draft and its surrogates to the fact that is published, and to its risk answers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from schemas import events
from schemas.codec import Record, encode, written_fact
from schemas.events import Fact, RatingFact, RiskAnswered, SessionFact
from schemas.instruments import Instrument, lookup, risk_answers
from schemas.posted import PostedRating
from schemas.topics import RISK_ITEMS, client_key
from services.ingest.draft import Draft
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
_BLANK: Mapping[str, dict[str, Any]] = {
    kind: {name: of.default for name, of in model.model_fields.items()} for kind, model in _MODELS.items()
}
"""Every field of the contract, in its order, with its default where it has one."""
_ONLY_SOME = ("cancelled_by", "reason")
_OWN: Mapping[str, list[str]] = {
    kind: [name for name in _ONLY_SOME if name in model.model_fields] for kind, model in _MODELS.items()
}
_RATINGS = frozenset(kind for kind, model in _MODELS.items() if issubclass(model, RatingFact))
_SESSIONS = frozenset(kind for kind, model in _MODELS.items() if issubclass(model, SessionFact))
_FORM = tuple(PostedRating.model_fields)
_encode = msgspec.json.Encoder().encode


class Surrogates(NamedTuple):
    """Who and what a draft is about, by the ids that may travel."""

    client_id: UUID
    clinician_id: UUID | None
    episode_id: UUID
    session_id: UUID | None


@dataclass(frozen=True, slots=True)
class Written:
    """A draft and the record that is published of it."""

    draft: Draft
    who: Surrogates
    record: Record

    @property
    def fact_id(self) -> UUID:
        return self.draft.fact_id

    @property
    def takes_back(self) -> bool:
        """Whether it may concern risk answers given before: a retraction does, and so does an answer to a risk item."""
        return self.draft.event.type == "rating.retracted" or bool(self.risk())

    @property
    def lane(self) -> Lane:
        return Lane.BULK if self.draft.historical else Lane.LIVE

    def risk(self) -> list[RiskAnswered]:
        """The risk answers in it. Most instruments ask for none."""
        rating: PostedRating | None = getattr(self.draft.event, "rating", None)
        return [] if rating is None or not _asks_for_risk(rating.instrument) else risk_of(self.fact())

    def fact(self) -> Fact:
        """As the contract reads it."""
        return _MODELS[self.draft.event.type].model_validate_json(self.record.value)


def write(draft: Draft, who: Surrogates) -> Written:
    """The fact to publish, written in one go: draft and surrogates are sound, so there is nothing left to judge.

    `tests/property/test_ingest_written.py` holds that the contract reads it, and would have written the same.
    """
    event, receiving = draft.event, draft.receiving
    values = _BLANK[event.type] | {
        "fact_id": draft.fact_id,
        "record_id": draft.record_id,
        "version": event.version,
        "tenant_id": receiving.tenant_id,
        "client_id": who.client_id,
        "episode_id": who.episode_id,
        "clinician_id": who.clinician_id,
        "session_id": who.session_id,
        "occurred_at": event.occurred_at,
        "recorded_at": receiving.now,
        "historical": draft.historical,
        "clock": receiving.clock,
    }
    value = _encode(values | _own(event))
    key = client_key(receiving.tenant_id, who.client_id)
    record = written_fact(key, value, kind=event.type, fact_id=draft.fact_id, time=event.occurred_at)
    return Written(draft, who, record)


def _own(event: Any) -> dict[str, Any]:  # noqa: ANN401 - one of the posted events
    """The fields that only some facts have."""
    if event.type in _RATINGS:
        return {name: getattr(event.rating, name) for name in _FORM}
    own: dict[str, Any] = {name: getattr(event, name) for name in _OWN[event.type]}
    return own | {"starts_at": event.starts_at or event.occurred_at} if event.type in _SESSIONS else own


@cache
def _asks_for_risk(key: str) -> bool:
    """Of a known instrument's key: there are as many as instruments."""
    instrument = lookup(key)
    return isinstance(instrument, Instrument) and any(instrument.risk_items())


def risks(written: Written) -> list[Outgoing]:
    """The risk answers that a fact sends out beside itself."""
    draft = written.draft
    tenant = draft.receiving.tenant_id
    return [Outgoing(tenant, draft.fact_id, Lane.RISK, RISK_ITEMS.name, sealed(risk)) for risk in written.risk()]


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
