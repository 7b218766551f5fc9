"""May two versions of a schema live side by side? Judged by roles, both ways, each break named and placed.

New readers must read what old writers wrote; old readers must read what new writers write.
"""

from __future__ import annotations

from typing import Any, NamedTuple

JsonObject = dict[str, Any]
NEW, OLD = "new readers", "old readers"
_ANNOTATIONS = {"$schema", "$id", "$defs", "title", "description", "default"}
_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_TEXT = ("pattern", "format")
_SHAPE = {"$ref", "type", "const", "enum", "properties", "required", "additionalProperties", "patternProperties"}
_KNOWN = {*_ANNOTATIONS, *_LOWER, *_UPPER, *_TEXT, *_SHAPE, "propertyNames", "items", "anyOf", "oneOf"}
_OUTCOMES = {
    "required": ("required-attribute-added", "attribute-removed"),
    "type": ("type-narrowed", "type-widened"),
    "values": ("enum-narrowed", "enum-widened"),
    "bound": ("bound-tightened", "bound-loosened"),
    "text": ("text-rule-tightened", "text-rule-loosened"),
    "closed": ("attribute-refused", "attribute-added-to-closed-object"),
}


class UnknownKeyword(ValueError):
    """A schema keyword this judge does not know: misspelt, or new and to be taught here first."""


class Finding(NamedTuple):
    """One break: what changed, where (JSON pointer into the message), and who cannot read whom."""

    outcome: str
    place: str
    breaks: str


class Verdict(NamedTuple):
    """All breaks of one change; none means compatible."""

    findings: tuple[Finding, ...]

    @property
    def order(self) -> str:
        """In which order to roll the change out."""
        match sorted({finding.breaks for finding in self.findings}):
            case []:
                return "either order: readers and writers may be rolled out as they come"
            case [one] if one == OLD:
                return "consumers first: every reader before any writer"
            case [_]:
                return "producers first: every writer, and readers once the old messages have expired"
            case _:
                return "no order is safe: publish the next major version beside this one"


def judge(old: JsonObject, new: JsonObject) -> Verdict:
    """What breaks between two versions of one schema.

    Raises:
        UnknownKeyword: either schema says something that is not understood here.

    >>> judge({"enum": ["a"]}, {"enum": ["a", "b"]}).findings
    (Finding(outcome='enum-widened', place='/', breaks='old readers'),)
    """
    forth = [Finding(_OUTCOMES[gap][0], place, NEW) for gap, place in _Reading(new, old).gaps(new, old, "")]
    back = [Finding(_OUTCOMES[gap][1], place, OLD) for gap, place in _Reading(old, new).gaps(old, new, "")]
    return Verdict(tuple(dict.fromkeys(forth + back)))


Gaps = list[tuple[str, str]]


class _Reading(NamedTuple):
    """One role: can `reader` read everything that `writer` writes?"""

    reader: JsonObject
    writer: JsonObject

    def gaps(self, reader: Any, writer: Any, at: str) -> Gaps:  # noqa: ANN401 - any JSON Schema, also true and false
        mine, theirs = _resolve(self.reader, reader, at), _resolve(self.writer, writer, at)
        if not set(mine) - _ANNOTATIONS:
            return []
        return [gap for option in _options(theirs) for gap in self._best(_options(mine), option, at)]

    def _best(self, options: list[Any], writer: Any, at: str) -> Gaps:  # noqa: ANN401 - as above
        return min((self._one(option, writer, at) for option in options), key=_weight)

    def _one(self, reader: Any, writer: Any, at: str) -> Gaps:  # noqa: ANN401 - as above
        mine, theirs = _resolve(self.reader, reader, at), _resolve(self.writer, writer, at)
        if mine.get("type") not in (None, theirs.get("type"), _wider(theirs.get("type"))):
            return [("type", at or "/")]
        scalar = [(gap, at or "/") for gap in _scalar(mine, theirs)]
        return scalar + self._object(mine, theirs, at) + self._inner(mine, theirs, at)

    def _object(self, mine: JsonObject, theirs: JsonObject, at: str) -> Gaps:
        missing = set(mine.get("required", ())) - set(theirs.get("required", ()))
        found = [("required", f"{at}/{name}") for name in sorted(missing)]
        known = mine.get("properties", {})
        for name, schema in sorted(theirs.get("properties", {}).items()):
            if name in known:
                found += self.gaps(known[name], schema, f"{at}/{name}")
            elif mine.get("additionalProperties") is False:
                found.append(("closed", f"{at}/{name}"))
        return found

    def _inner(self, mine: JsonObject, theirs: JsonObject, at: str) -> Gaps:
        found: Gaps = []
        for keyword in ("items", "propertyNames", "additionalProperties"):
            if keyword in mine and mine[keyword] is not True:
                found += self._part(mine[keyword], theirs.get(keyword, {}), f"{at}/*")
        for pattern, schema in mine.get("patternProperties", {}).items():
            found += self._part(schema, theirs.get("patternProperties", {}).get(pattern, {}), f"{at}/*")
        return found

    def _part(self, mine: Any, theirs: Any, at: str) -> Gaps:  # noqa: ANN401 - as above
        if mine is False:
            return [] if theirs is False else [("closed", at)]
        return [] if theirs is False else self.gaps(mine, theirs, at)


def _resolve(root: JsonObject, schema: Any, at: str) -> JsonObject:  # noqa: ANN401 - any JSON Schema
    found: JsonObject = {} if schema is True else schema
    while "$ref" in found:
        found = root["$defs"][found["$ref"].removeprefix("#/$defs/")]
    if strange := set(found) - _KNOWN:
        raise UnknownKeyword(f"{at or '/'}: {', '.join(sorted(strange))} is not a keyword known to schemas.compat")
    return found


def _options(schema: JsonObject) -> list[Any]:
    found: list[Any] = schema.get("anyOf") or schema.get("oneOf") or [schema]
    return found


def _weight(gaps: Gaps) -> tuple[bool, int]:
    return any(gap == "type" for gap, _ in gaps), len(gaps)


def _wider(kind: object) -> object:
    return "number" if kind == "integer" else kind


def _scalar(mine: JsonObject, theirs: JsonObject) -> list[str]:
    allowed, written = _values(mine), _values(theirs)
    refused = allowed is not None and (written is None or any(value not in allowed for value in written))
    tight = any(mine[key] > theirs.get(key, float("-inf")) for key in _LOWER if key in mine)
    tight |= any(mine[key] < theirs.get(key, float("inf")) for key in _UPPER if key in mine)
    ruled = any(mine[key] != theirs.get(key) for key in _TEXT if key in mine)
    return [name for name, bad in (("values", refused), ("bound", tight), ("text", ruled)) if bad]


def _values(schema: JsonObject) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")
