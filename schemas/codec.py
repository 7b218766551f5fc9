"""Events to Kafka records and back: CloudEvents 1.0, Kafka binary mode, JSON values.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md

The value holds the whole contract; the `ce_` headers repeat what routers and tracing need, so that a reader of ours
never has to look at them except to refuse another major version early.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from schemas.errors import UndecodableEvent, UnknownEvent, UnknownVersion
from schemas.events import AlertStep, Conclusion, Contract, Fact, TenantConfig
from schemas.topics import Topic, client_key, config_key

Headers = tuple[tuple[str, bytes], ...]
CONTENT_TYPE = ("content-type", b"application/json")
_TYPE_BYTES = 100
"""No type of ours is as long; what is remembered of others is not longer either."""
_CE_TYPE = re.compile(r"^attune\.(?P<type>[a-z.-]+)\.v(?P<major>[0-9]+)$")


class Record(NamedTuple):
    """What is handed to a Kafka producer."""

    key: bytes
    value: bytes
    headers: Headers


def ce_type(event: Contract) -> str:
    """The CloudEvents type: name and major version.

    >>> from schemas.events import RatingRetracted
    >>> ce_type(RatingRetracted.model_construct(type="rating.retracted", schema_version=1))
    'attune.rating.retracted.v1'
    """
    return f"attune.{event.type}.v{event.schema_version}"  # type: ignore[attr-defined]  # every concrete contract has both


def encode(event: Fact | Conclusion | AlertStep, *, event_id: str, source: str, time: datetime) -> Record:
    """The record of one event. `event_id` is deterministic, so that (source, id) tells a repeat."""
    key = client_key(event.tenant_id, event.client_id)
    about = {"id": event_id, "source": source, "subject": str(event.client_id), "time": time.isoformat()}
    return _record(key, event.model_dump_json().encode(), _whose(event) | about)


def written_fact(key: bytes, value: bytes, *, kind: str, fact_id: UUID, time: datetime) -> Record:
    """The record of a fact that is written already: as `encode_fact` makes it of the same fact."""
    tenant, client = key.decode().split(":")
    about = {"id": str(fact_id), "source": "ingest", "subject": client, "time": time.isoformat()}
    return _record(key, value, about | {"type": f"attune.{kind}.v1", "tenant": tenant})


def encode_config(config: TenantConfig) -> Record:
    """The record of a clinic's fitted parameters: its key is the version's own, so that compaction keeps each."""
    key = config_key(config.tenant_id, config.version)
    about = {"id": key.decode(), "source": "fit", "subject": str(config.tenant_id)}
    about |= _whose(config) | {"time": config.in_force_from.isoformat()}
    return _record(key, config.model_dump_json().encode(), about)


def _whose(event: Fact | Conclusion | AlertStep | TenantConfig) -> dict[str, str]:
    return {"type": ce_type(event), "tenant": str(event.tenant_id)}


def _record(key: bytes, value: bytes, about: Mapping[str, str]) -> Record:
    headers = (
        CONTENT_TYPE,
        ("ce_specversion", b"1.0"),
        ("ce_id", about["id"].encode()),
        ("ce_source", f"/tenants/{about['tenant']}/{about['source']}".encode()),
        ("ce_type", about["type"].encode()),
        ("ce_subject", about["subject"].encode()),
        ("ce_time", about["time"].encode()),
        ("ce_partitionkey", key),
    )
    return Record(key, value, headers)


def encode_fact(fact: Fact) -> Record:
    """The record of a fact: its id is the fact's."""
    return encode(fact, event_id=str(fact.fact_id), source="ingest", time=fact.occurred_at)


@lru_cache(maxsize=256)
def _major(ce_type: bytes) -> str:
    """The major version that an event's type names; 1 where it names none."""
    match = _CE_TYPE.match(ce_type.decode("utf-8", "replace"))
    return match["major"] if match else "1"


def check_version(headers: Iterable[tuple[str, bytes]]) -> None:
    """Refuse an event of another major version by its `ce_type`, before its body is looked at.

    Raises:
        UnknownVersion: the type says a major version other than 1.
    """
    for name, value in headers:
        if name != "ce_type":
            continue
        major = _major((value or b"")[:_TYPE_BYTES])  # a header of somebody else's may be null
        if major != "1":
            raise UnknownVersion(f"event type is of major version {major}, this reader knows 1")


def decode(topic: Topic, value: bytes | None, headers: Iterable[tuple[str, bytes]] = ()) -> Any:  # noqa: ANN401 - the topic decides
    """The event in a record of `topic`.

    Raises:
        UnknownVersion: written by a newer major version.
        UnknownEvent: a type that is not of this topic.
        UndecodableEvent: anything else; the reason names places and expectations, never values.
    """
    check_version(headers)
    if value is None:
        raise UndecodableEvent("no value: a tombstone on a topic that has none")
    if topic.contract is None:
        raise UndecodableEvent(f"topic {topic.name} holds no events")
    return _validate(topic.contract, value)


def _validate(contract: TypeAdapter[Any], value: bytes) -> Any:  # noqa: ANN401 - the contract decides
    try:
        return contract.validate_json(value)
    except ValidationError as error:
        raise _explain(error, value) from None


def _explain(error: ValidationError, value: bytes) -> UndecodableEvent | UnknownEvent | UnknownVersion:
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "union_tag_invalid":
        return UnknownEvent("type is not one of this topic's")
    if place.endswith("schema_version") and _says_version(value):
        return UnknownVersion("schema_version is not 1")
    return UndecodableEvent(f"{place or 'value'}: {first['type']}")


def _says_version(value: bytes) -> bool:
    try:
        return isinstance(json.loads(value).get("schema_version"), int)
    except (ValueError, AttributeError):
        return False
