"""The canonical bytes of a posted event (RFC 8785), whose digest tells whether a repeat is the same event.

What clinics post is nearly always plain: printable text, names in ASCII, numbers of a common size. For that, a sorting
encoder in C writes the same bytes as the RFC's own library; for all else the library does. Digests are stored, so the
bytes may never change: `tests/property/test_ingest_canonical.py` compares the two.
"""

from __future__ import annotations

from typing import Any

import msgspec
import rfc8785

_ENCODER = msgspec.json.Encoder(order="sorted")
_SAFE = 2**53 - 1
_LEAST, _MOST = 1e-3, 1e15
"""Between these no encoder writes an exponent."""


class _NotPlain(Exception):
    """Left to the RFC's own library."""


def canonical(value: dict[str, Any]) -> bytes:
    """One way of writing a value.

    >>> canonical({"b": 9.0, "a": [None, 0.5, -0.0, "é"]}).decode()
    '{"a":[null,0.5,0,"é"],"b":9}'

    Raises:
        rfc8785.CanonicalizationError: it cannot be written in JSON that everybody reads alike.
    """
    try:
        return _ENCODER.encode(_plain_object(value))
    except _NotPlain:
        return rfc8785.dumps(value)


def _plain_object(value: dict[str, Any]) -> dict[str, Any]:
    for name in value:
        if not (type(name) is str and name.isascii() and name.isprintable()):
            raise _NotPlain  # other names sort by UTF-16, control characters have several escapes
    return {name: _plain(each) for name, each in value.items()}


def _plain(value: object) -> object:
    kind = type(value)
    if kind is float:
        return _number(value)  # type: ignore[arg-type]  # just looked
    if kind is dict:
        return _plain_object(value)  # type: ignore[arg-type]  # just looked
    if kind is list:
        return [_plain(each) for each in value]  # type: ignore[attr-defined]  # just looked
    if value is None or kind is bool or _as_it_is(value):
        return value
    raise _NotPlain


def _as_it_is(value: object) -> bool:
    return value.isprintable() if type(value) is str else type(value) is int and -_SAFE <= value <= _SAFE


def _number(value: float) -> float:
    if value.is_integer() and -_MOST < value < _MOST:
        return int(value)
    if _LEAST <= abs(value) < _MOST:
        return value
    raise _NotPlain
