"""The shapes an event may arrive in: plain JSON, CloudEvents structured or binary. All become the plain one.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

_TYPE = re.compile(r"^(?:attune\.)?(?P<type>[a-z-]+\.[a-z-]+?)(?:\.v1)?$")
_ATTRIBUTES = {"id": "id", "source": "source", "time": "occurred_at", "subject": "client"}


def is_cloud_event(event: object) -> bool:
    return isinstance(event, dict) and "specversion" in event


def plain(event: object) -> object:
    """The plain event in a structured CloudEvent; anything else as it is.

    >>> plain({"specversion": "1.0", "id": "r1", "type": "attune.rating.submitted.v1", "data": {"client": "c"}})
    {'id': 'r1', 'client': 'c', 'type': 'rating.submitted'}
    """
    if not isinstance(event, dict) or "specversion" not in event:
        return event
    data = event.get("data", {})
    return _flat(event, data if isinstance(data, dict) else {"data": data})


def from_binary(headers: Mapping[str, str], data: object) -> object:
    """The plain event of a binary CloudEvent: attributes in `ce-` headers, data in the body."""
    attributes = {name[3:]: unquote(value) for name, value in headers.items() if name.startswith("ce-")}
    return _flat(attributes, data if isinstance(data, dict) else {"data": data})


def _flat(attributes: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes we know, under our names, and the data; where both name a thing, the data is the more specific."""
    known = {ours: attributes[name] for name, ours in _ATTRIBUTES.items() if name in attributes}
    flat = known | dict(data)
    match = _TYPE.match(str(attributes.get("type", "")))
    flat["type"] = match["type"] if match else attributes.get("type")
    return flat
