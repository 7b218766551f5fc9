"""Is the published language sound? Drift, compatibility, golden examples, catalogue: each fault one sentence."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
from pydantic import ValidationError

from schemas.codec import decode
from schemas.compat import judge
from schemas.errors import ContractError
from schemas.generate import POSTED, ROOM, contracts, generated, messages
from schemas.topics import TOPICS, Topic

_KEBAB = re.compile(r"^[a-z0-9]+(-[a-z0-9]+)*$")
_NEXT = "run `python -m schemas generate`"


def faults(room: Path = ROOM) -> list[str]:
    """Everything that is wrong with the files in `room`; empty when all is well."""
    services = ROOM.parent / "services"
    catalogue = [fault for topic in TOPICS for fault in topic_faults(topic, services)]
    return [*_drift(room), *_examples(room), *_orphans(room), *catalogue]


def _drift(room: Path) -> Iterator[str]:
    for path, text in generated(room).items():
        held = room / path
        if not held.exists():
            yield f"{path}: missing; consumers first, since old readers do not know the type; {_NEXT}"
        elif held.read_text(encoding="utf-8") != text:
            yield f"{path}: {_verdict(held, text)}"


def _verdict(held: Path, text: str) -> str:
    if held.suffix != ".json":
        return f"drift: {_NEXT}"
    verdict = judge(json.loads(held.read_text(encoding="utf-8")), json.loads(text))
    if not verdict.findings:
        return f"drift, compatible ({verdict.order}): {_NEXT}"
    places = "; ".join(f"{found.outcome} at {found.place} breaks {found.breaks}" for found in verdict.findings)
    return f"incompatible: {places}. Roll-out: {verdict.order}"


def _examples(room: Path) -> Iterator[str]:
    for message in messages():
        schema = room / "jsonschema" / message.file_name
        if not schema.exists():
            continue
        rule = jsonschema_rs.validator_for(json.loads(schema.read_text(encoding="utf-8")))
        found = sorted((room / "examples" / message.channel / "v1").glob(f"{message.type}-[0-9]*.json"))
        if not found:
            yield f"examples/{message.channel}: no golden example of {message.type}"
        yield from (f"{path.relative_to(room)}: {fault}" for path in found for fault in _example(path, rule))


def _example(path: Path, rule: Any) -> Iterator[str]:  # noqa: ANN401 - the validator has a class per dialect
    value = path.read_bytes()
    if not rule.is_valid(json.loads(value)):
        yield "does not satisfy its schema"
    try:
        _decode(path.parts[-3], value)
    except ContractError as error:
        yield f"is no longer readable: {error.reason}"
    except ValidationError as error:
        yield f"is no longer readable: {error.error_count()} faults"


def _decode(channel: str, value: bytes) -> None:
    if channel == POSTED:
        contracts()[POSTED].validate_json(value)
        return
    decode(next(topic for topic in TOPICS if topic.name == channel), value)


def _orphans(room: Path) -> Iterator[str]:
    every = messages()
    expected = {message.file_name for message in every}
    for path in sorted((room / "jsonschema").glob("*")):
        if path.name not in expected:
            yield f"jsonschema/{path.name}: no model has this type; new readers cannot read what was written"
    known = {(message.channel, message.type) for message in every}
    for path in sorted((room / "examples").glob("*/v*/*")):
        if (path.parts[-3], path.stem.rpartition("-")[0]) not in known:
            yield f"{path.relative_to(room)}: an example of no known type"


def topic_faults(topic: Topic, services: Path) -> Iterator[str]:
    """What the catalogue asks of one topic."""
    if not _KEBAB.match(topic.name):
        yield f"topic {topic.name}: the name is not kebab-case"
    if not topic.key or not topic.meaning:
        yield f"topic {topic.name}: key and meaning must be said"
    if (topic.retention_days is None) != (topic.cleanup == "compact"):
        yield f"topic {topic.name}: either compacted or kept for a number of days"
    for service in (topic.owner, *topic.readers):
        if not (services / service / "__init__.py").exists():
            yield f"topic {topic.name}: {service} is not a service"
