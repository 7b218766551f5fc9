"""The judge of schema changes: every break is named, placed, and laid at one side's door."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.compat import NEW, OLD, UnknownKeyword, judge


def _object(**properties: object) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


TEXT, NUMBER, WHOLE = {"type": "string"}, {"type": "number"}, {"type": "integer"}
LOOSE = _object(a=NUMBER)
ASKING = {**LOOSE, "required": ["a"]}
PAIRS = [
    (LOOSE, ASKING, "required-attribute-added", "/a", NEW),
    (ASKING, _object(), "attribute-removed", "/a", OLD),
    (_object(a=NUMBER), _object(a=WHOLE), "type-narrowed", "/a", NEW),
    (_object(a=WHOLE), _object(a=NUMBER), "type-widened", "/a", OLD),
    ({"anyOf": [TEXT, {"type": "null"}]}, TEXT, "type-narrowed", "/", NEW),
    ({"enum": ["a", "b"]}, {"enum": ["a"]}, "enum-narrowed", "/", NEW),
    ({"enum": ["a"]}, {"enum": ["a", "b"]}, "enum-widened", "/", OLD),
    ({**NUMBER, "minimum": 0}, {**NUMBER, "minimum": 1}, "bound-tightened", "/", NEW),
    ({**NUMBER, "maximum": 9}, NUMBER, "bound-loosened", "/", OLD),
    (TEXT, {**TEXT, "pattern": "^a"}, "text-rule-tightened", "/", NEW),
    ({**TEXT, "format": "uuid"}, TEXT, "text-rule-loosened", "/", OLD),
    (LOOSE, {**_object(), "additionalProperties": False}, "attribute-refused", "/a", NEW),
    (
        {**_object(), "additionalProperties": False},
        {**LOOSE, "additionalProperties": False},
        "attribute-added-to-closed-object",
        "/a",
        OLD,
    ),
]


@pytest.mark.parametrize(("old", "new", "outcome", "place", "breaks"), PAIRS)
def test_every_break_has_a_name_a_place_and_a_side(
    old: dict[str, Any], new: dict[str, Any], outcome: str, place: str, breaks: str
) -> None:
    """Every named outcome is found where it is, and says who can no longer read."""
    assert (outcome, place, breaks) in judge(old, new).findings


@pytest.mark.parametrize(("old", "new"), [(pair[0], pair[1]) for pair in PAIRS])
def test_the_order_follows_from_who_breaks(old: dict[str, Any], new: dict[str, Any]) -> None:
    """Only old readers in danger: consumers first. Only new ones: producers first. Both: no order will do."""
    verdict = judge(old, new)
    sides = {finding.breaks for finding in verdict.findings}
    expected = "no order" if len(sides) == 2 else "consumers first" if sides == {OLD} else "producers first"
    assert verdict.order.startswith(expected)


def test_an_optional_attribute_more_breaks_nobody() -> None:
    """The everyday change is allowed, in either order."""
    verdict = judge(_object(a=TEXT), _object(a=TEXT, b=TEXT))
    assert verdict.findings == ()
    assert verdict.order.startswith("either")


def test_a_misspelt_keyword_is_an_error() -> None:
    """A rule that would silently not be enforced is not let through."""
    with pytest.raises(UnknownKeyword, match="aditionalProperties"):
        judge(_object(), {**_object(), "aditionalProperties": False})
