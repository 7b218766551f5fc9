"""The wire: what is written is read back, and what must not be read is refused without a word of it repeated."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.check import faults
from schemas.codec import decode, encode
from schemas.errors import ContractError, UndecodableEvent, UnknownEvent, UnknownVersion
from schemas.generate import ROOM
from schemas.topics import SESSION_EVENTS, TOPICS, Topic

GOLDEN = [
    (topic, path)
    for topic in TOPICS
    for path in sorted((ROOM / "examples" / topic.name).glob("v1/*.json"))
    if topic.name != "tenant-configs"  # its key is the clinic, so that `encode` is not for it
]
SECRET = "never-echo-7731"
NUMBERS = st.none() | st.floats(allow_nan=False, allow_infinity=False)


def _rating(**changes: object) -> bytes:
    text = (ROOM / "examples/session-events/v1/rating.submitted-1.json").read_text("utf-8")
    return json.dumps({**json.loads(text), **changes}).encode()


@pytest.mark.parametrize(("topic", "path"), GOLDEN, ids=lambda value: getattr(value, "stem", value.__class__.__name__))
def test_what_is_written_is_read_back(topic: Topic, path: Path) -> None:
    """Every type of event survives the wire unchanged, headers included."""
    event = decode(topic, path.read_bytes())
    record = encode(event, event_id="e", source="test", time=getattr(event, "recorded_at", None) or _when(event))
    assert decode(topic, record.value, record.headers) == event


def _when(event: Any) -> Any:  # noqa: ANN401 - any of the contracts
    return getattr(event, "known_at", None) or event.at


@given(items=st.dictionaries(st.text(max_size=20), NUMBERS, max_size=8), total=NUMBERS)
def test_any_answers_survive_the_wire(items: dict[str, float | None], total: float | None) -> None:
    """Whatever finite numbers a clinic sends, and whatever is missing, arrives as it left."""
    event = decode(SESSION_EVENTS, _rating(items=items, total=total))
    record = encode(event, event_id="e", source="test", time=event.recorded_at)
    assert decode(SESSION_EVENTS, record.value, record.headers) == event


@pytest.mark.parametrize(
    ("value", "headers", "error"),
    [
        (_rating(total=float("nan"), instrument=SECRET), (), UndecodableEvent),
        (_rating(occurred_at="2026-03-04T10:05:00", source=SECRET), (), UndecodableEvent),
        (_rating(total=SECRET), (), UndecodableEvent),
        (_rating(type=SECRET), (), UnknownEvent),
        (_rating(schema_version=2, source=SECRET), (), UnknownVersion),
        (_rating(), (("ce_type", b"attune.rating.submitted.v2"),), UnknownVersion),
        (None, (), UndecodableEvent),
        (_rating(source=SECRET)[:-9], (), UndecodableEvent),
    ],
    ids=["nan", "naive", "wrong-type", "unknown-type", "version", "header-version", "tombstone", "truncated"],
)
def test_a_refusal_is_typed_and_repeats_nothing(
    value: bytes | None, headers: tuple[tuple[str, bytes], ...], error: type[ContractError]
) -> None:
    """What must not be acted upon is refused by the right error, and no submitted value is in it."""
    with pytest.raises(error) as refused:
        decode(SESSION_EVENTS, value, headers)
    assert SECRET not in str(refused.value)


def test_the_published_language_is_sound() -> None:
    """Models, files, examples and catalogue agree."""
    assert faults() == []


def test_a_breaking_change_fails_the_check(tmp_path: Path) -> None:
    """Where the committed schema took more than the models take now, the check says what, where and in which order."""
    for part in ("jsonschema", "examples"):
        shutil.copytree(ROOM / part, tmp_path / part)
    shutil.copy(ROOM / "asyncapi.yaml", tmp_path)
    held = tmp_path / "jsonschema/session.cancelled.v1.schema.json"
    schema = json.loads(held.read_text("utf-8"))
    schema["required"].remove("starts_at")
    held.write_text(json.dumps(schema), encoding="utf-8")
    [fault] = faults(tmp_path)
    assert "required-attribute-added at /starts_at breaks new readers" in fault
    assert "producers first" in fault
