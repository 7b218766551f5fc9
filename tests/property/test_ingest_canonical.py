"""Bodies are told apart by stored digests: the quick way of writing them and the RFC's own must agree for ever."""

from __future__ import annotations

from typing import Any

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from services.ingest.canonical import canonical

NUMBERS = (
    st.floats(allow_nan=False, allow_infinity=False)
    | st.floats(-1e6, 1e6)
    | st.decimals(-1_000, 1_000, places=2).map(float)
    | st.integers(-(2**53) + 1, 2**53 - 1)
)
TEXT = st.text(st.characters(codec="utf-8"))
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT | st.sampled_from("ab_"), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(TEXT, VALUES, max_size=6))
@example({"a": 1e15, "b": 1e16, "c": 1e21, "d": 1e-3, "e": 1e-7, "f": -0.0, "g": 123456789012345.6, "h": 0.1 + 0.2})
@example({"a": 999999999999999.9, "b": 5e-324, "c": -0.001, "d": 9007199254740991, "e": 1.7976931348623157e308})
@example({"\U0001f600": 1, "\ufb33": 2, "é": "\x7f\u2028", 'q"\\/': '\x00\x1f\b\f\n\r\t"\\/'})
@example({"a": "\x7f", "b": "\u2028\u00ad", "c": "</script>", "d": [[], {}, [None]]})
def test_the_bytes_are_those_of_the_rfc(value: dict[str, Any]) -> None:
    """Whatever is posted, its digest is that of the library which wrote the stored ones."""
    assert canonical(value) == rfc8785.dumps(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**53, -(2**53), "\ud800"])
def test_what_the_rfc_refuses_is_refused(value: object) -> None:
    """Nothing gets a digest here that would have none there."""
    with pytest.raises(rfc8785.CanonicalizationError):
        canonical({"a": value})
