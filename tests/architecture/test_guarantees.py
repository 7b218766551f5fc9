"""What the page promises is proved by tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

from tests.chaos.__main__ import SCENARIOS

PAGE = (Path(__file__).parents[2] / "docs" / "guarantees.md").read_text(encoding="utf-8")
ROOT = Path(__file__).parents[2]


def test_every_proof_named_is_there() -> None:
    """Each test file and test function that the page names exists."""
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)
    assert len(named) > 10
    for path, function in named:
        source = (ROOT / path).read_text(encoding="utf-8")
        assert not function or f"def {function}(" in source, f"{path} has no {function}"


def test_every_long_form_named_is_played() -> None:
    """What the page calls long form is a scenario of `make chaos`, and every scenario is on the page."""
    forms = re.findall(r"\*long form\* ([^|]+)\|", PAGE)
    assert {name for each in forms for name in re.findall(r"`([^`]+)`", each)} == set(SCENARIOS)
