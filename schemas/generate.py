"""The published files from the models: a JSON Schema 2020-12 per event type and major version, and AsyncAPI."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from schemas.asyncapi import document
from schemas.posted import PostedEvent
from schemas.topics import TOPICS

JsonObject = dict[str, Any]
ROOM = Path(__file__).parent
MAJOR = 1
POSTED = "posted"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REFERENCE = re.compile(r'"#/\$defs/([^"]+)"')


class Message(NamedTuple):
    """One event type: its name, where it travels (a topic, or `posted` for the door), and its schema."""

    type: str
    channel: str
    schema: JsonObject

    @property
    def file_name(self) -> str:
        """Where its schema stands.

        >>> Message("reading", "alliance-scores", {}).file_name
        'reading.v1.schema.json'
        """
        return f"{self.type}.v{MAJOR}.schema.json"


def contracts() -> dict[str, TypeAdapter[Any]]:
    """What may travel on each channel; topics that hold no events of ours are left out."""
    named = {topic.name: topic.contract for topic in TOPICS if topic.contract is not None}
    return {**named, POSTED: TypeAdapter(PostedEvent)}


def messages() -> tuple[Message, ...]:
    """Every event type there is, by channel."""
    return tuple(message for channel, contract in contracts().items() for message in _split(channel, contract))


def _split(channel: str, contract: TypeAdapter[Any]) -> list[Message]:
    whole = contract.json_schema()
    definitions = whole.pop("$defs", {})
    if "discriminator" not in whole:
        return [_message(channel, whole["properties"]["type"]["const"], whole, definitions)]
    targets = whole["discriminator"]["mapping"].items()
    return [_message(channel, name, _tagged(definitions[_target(ref)]), definitions) for name, ref in targets]


def _target(reference: str) -> str:
    return reference.removeprefix("#/$defs/")


def _tagged(schema: JsonObject) -> JsonObject:
    """Where several types share a channel, a message must say which it is."""
    return {**schema, "required": sorted({*schema.get("required", ()), "type"})}


def _message(channel: str, name: str, schema: JsonObject, definitions: JsonObject) -> Message:
    published = f"{POSTED}.{name}" if channel == POSTED else name
    used = _reachable(schema, definitions)
    head = {"$schema": DIALECT, "$id": f"urn:attune:schema:{published}.v{MAJOR}"}
    return Message(published, channel, {**head, **schema, **({"$defs": used} if used else {})})


def _reachable(schema: JsonObject, definitions: JsonObject) -> JsonObject:
    found: JsonObject = {}
    pending = _REFERENCE.findall(json.dumps(schema))
    while pending:
        name = pending.pop()
        if name not in found:
            found[name] = definitions[name]
            pending += _REFERENCE.findall(json.dumps(definitions[name]))
    return found


def text_of(value: JsonObject) -> str:
    """One text for one value, whatever order it was built in."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def generated(room: Path = ROOM) -> dict[str, str]:
    """Every generated file: its path within the room, its text. `room` is read for the examples only."""
    every = messages()
    files = {f"jsonschema/{message.file_name}": text_of(message.schema) for message in every}
    addresses = [(message.channel, message.type, message.file_name) for message in every]
    return {**files, "asyncapi.yaml": text_of(document(addresses, room / "examples"))}


def write(room: Path = ROOM) -> list[str]:
    """Write what differs; the paths that were written."""
    stale = {path: text for path, text in generated(room).items() if _held(room / path) != text}
    for path, text in stale.items():
        (room / path).parent.mkdir(parents=True, exist_ok=True)
        (room / path).write_text(text, encoding="utf-8")
    return sorted(stale)


def _held(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None
