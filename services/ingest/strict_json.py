"""JSON as a careful door reads it: what RFC 8259 leaves open has one answer here, and it is no."""

from __future__ import annotations

import json
from typing import Any, NoReturn

MAX_DEPTH = 32


class BadJson(ValueError):
    """Not JSON that we take; the message never quotes it."""


def _refuse_constant(_: str) -> NoReturn:
    raise BadJson("NaN and Infinity are not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    known = dict(pairs)
    if len(known) != len(pairs):
        raise BadJson("a name occurs twice in one object")
    return known


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)


def decode(body: bytes) -> Any:  # noqa: ANN401 - JSON
    """The value of one JSON text.

    Raises:
        BadJson: not UTF-8, not JSON, a name twice, NaN, nested deeper than 32, or a number beyond reason.

    >>> decode(b'{"a": 1}')
    {'a': 1}
    >>> decode(b'{"a": 1, "a": 2}')
    Traceback (most recent call last):
    services.ingest.strict_json.BadJson: a name occurs twice in one object
    """
    try:
        value = _DECODER.decode(body.decode("utf-8"))
    except BadJson:
        raise
    except UnicodeDecodeError:
        raise BadJson("not UTF-8") from None
    except json.JSONDecodeError as error:
        raise BadJson(f"not JSON at line {error.lineno} column {error.colno}") from None
    except RecursionError:
        raise BadJson(f"nested deeper than {MAX_DEPTH}") from None
    except ValueError:
        raise BadJson("a number with too many digits") from None
    if too_deep(value, MAX_DEPTH):
        raise BadJson(f"nested deeper than {MAX_DEPTH}")
    return value


def too_deep(value: object, most: int) -> bool:
    """Whether a value nests deeper than `most`; level by level, so that no depth can exhaust the stack.

    >>> too_deep([[1]], 1), too_deep([[1]], 2)
    (True, False)
    """
    level = [value]
    for _ in range(most + 1):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return False
    return True


def _inside(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
