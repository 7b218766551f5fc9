"""Facts are written without the contract, for it costs more than storing them: it must agree with every one."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import decode, encode_fact
from schemas.posted import PostedFact, PostedRating
from schemas.topics import SESSION_EVENTS
from services.ingest.draft import Draft, Receiving
from services.ingest.facts import Surrogates, risk_of, write
from services.ingest.ids import FACTS

KINDS = get_args(PostedFact)
TIMES = st.datetimes(datetime(1990, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - they get one
SCORES = st.none() | st.floats(-1e6, 1e6)
ITEMS = st.dictionaries(st.sampled_from(("relationship", "overall", "q1", "q9")), SCORES)
RATINGS = st.builds(
    PostedRating,
    instrument=st.sampled_from(("srs@3", "phq-9@1", "wai-sr@7pt")),
    rater=st.sampled_from(("client", "therapist")),
    items=ITEMS,
    total=SCORES,
    seconds_to_complete=st.none() | st.floats(0, 86_400),
)
EVENTS = st.one_of([st.builds(kind, occurred_at=TIMES, **more) for kind in KINDS for more in [
    {name: RATINGS if name == "rating" else TIMES for name in ("rating", "starts_at") if name in kind.model_fields}
    | {name: st.just("x") for name in ("id", "source", "client", "session", "clinician")}
]])  # fmt: skip


@given(EVENTS, TIMES, st.booleans())
def test_the_contract_reads_what_is_written_and_writes_the_same(event: object, now: datetime, named: bool) -> None:  # noqa: FBT001
    """Key, value and headers are those of the fact that the contract makes of it; so are its risk answers."""
    receiving = Receiving(uuid.uuid4(), now, "feed", timedelta(days=30))
    draft = Draft(receiving, event, uuid.uuid5(FACTS, "f"), uuid.uuid5(FACTS, "r"), b"")  # type: ignore[arg-type]
    who = Surrogates(uuid.uuid4(), uuid.uuid4() if named else None, uuid.uuid4(), uuid.uuid4())
    written = write(draft, who)
    fact = decode(SESSION_EVENTS, written.record.value, written.record.headers)
    assert written.record == encode_fact(fact)
    assert (fact.client_id, fact.episode_id, fact.session_id) == (who.client_id, who.episode_id, who.session_id)
    assert (fact.tenant_id, fact.recorded_at, fact.historical) == (receiving.tenant_id, now, draft.historical)
    assert fact.occurred_at == event.occurred_at  # type: ignore[attr-defined]
    assert written.risk() == risk_of(fact)
    asked = getattr(event, "rating", event)
    for name in {"items", "total", "seconds_to_complete", "cancelled_by", "reason"} & set(type(fact).model_fields):
        assert getattr(fact, name) == getattr(asked, name)
