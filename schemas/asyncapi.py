"""The AsyncAPI 3.0 page: channels, who sends and who receives, and what a message looks like on the wire."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from schemas.topics import DEFAULT_PARTITIONS, TOPICS, Topic

JsonObject = dict[str, Any]
Address = tuple[str, str, str]
"""Channel, event type, file name of its schema."""
_HEADERS = {
    "content-type": {"const": "application/json", "description": "The value is JSON"},
    "ce_specversion": {"const": "1.0", "description": "CloudEvents version"},
    "ce_id": {"type": "string", "description": "Deterministic: with ce_source it tells a repeat"},
    "ce_source": {"type": "string", "pattern": "^/tenants/", "description": "Clinic and writer"},
    "ce_subject": {"type": "string", "format": "uuid", "description": "The client's surrogate"},
    "ce_time": {"type": "string", "format": "date-time", "description": "When it happened"},
    "ce_partitionkey": {"type": "string", "description": "The record key, repeated"},
}


def document(addresses: Iterable[Address], examples: Path) -> JsonObject:
    """The page as data. JSON is YAML, so that `json.dumps` of it is a YAML file."""
    carried = [address for address in addresses if address[0] in {topic.name for topic in TOPICS}]
    return {
        "asyncapi": "3.0.0",
        "info": _info(),
        "defaultContentType": "application/json",
        "channels": {topic.name: _channel(topic, carried) for topic in TOPICS},
        "operations": dict(pair for topic in TOPICS for pair in _operations(topic)),
        "components": {
            "messages": {address[1]: _message(address, examples) for address in carried} | {"raw": _raw()},
        },
    }


def _info() -> JsonObject:
    return {
        "title": "Attune events",
        "version": "1.0.0",
        "description": "What Attune's services say to each other through Kafka: CloudEvents 1.0, binary mode, JSON.",
        "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
    }


def _names(topic: Topic, carried: list[Address]) -> list[str]:
    return [name for channel, name, _ in carried if channel == topic.name] or ["raw"]


def _channel(topic: Topic, carried: list[Address]) -> JsonObject:
    return {
        "address": topic.name,
        "description": f"{topic.meaning}. Key: {topic.key}.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _names(topic, carried)},
        "bindings": {"kafka": _binding(topic)},
    }


def _binding(topic: Topic) -> JsonObject:
    kept = {} if topic.retention_days is None else {"retention.ms": int(topic.config()["retention.ms"])}
    settings = {
        "cleanup.policy": [topic.cleanup],
        "max.message.bytes": int(topic.config()["max.message.bytes"]),
        **kept,
    }
    return {"partitions": DEFAULT_PARTITIONS, "topicConfiguration": settings, "bindingVersion": "0.5.0"}


def _operations(topic: Topic) -> list[tuple[str, JsonObject]]:
    sends = (f"{topic.owner}-sends-{topic.name}", _operation("send", topic, topic.owner))
    return [sends, *((f"{who}-receives-{topic.name}", _operation("receive", topic, who)) for who in topic.readers)]


def _operation(action: str, topic: Topic, service: str) -> JsonObject:
    return {"action": action, "channel": {"$ref": f"#/channels/{topic.name}"}, "tags": [{"name": service}]}


def _message(address: Address, examples: Path) -> JsonObject:
    channel, name, file_name = address
    kind = {"ce_type": {"const": f"attune.{name}.v1", "description": "Name and major version"}}
    return {
        "name": name,
        "contentType": "application/json",
        "headers": {"type": "object", "properties": {**_HEADERS, **kind}},
        "payload": {"$ref": f"./jsonschema/{file_name}"},
        "bindings": {"kafka": {"key": {"type": "string"}, "bindingVersion": "0.5.0"}},
        "examples": _examples(examples / channel / "v1", name),
    }


def _examples(folder: Path, name: str) -> list[JsonObject]:
    first = folder / f"{name}-1.json"
    return [{"name": first.stem, "payload": json.loads(first.read_text("utf-8"))}] if first.exists() else []


def _raw() -> JsonObject:
    return {"name": "raw", "title": "Bytes as they came", "contentType": "application/octet-stream"}
