"""The policy page says what the code does."""

from __future__ import annotations

from pathlib import Path

from services.alerts.domain.lifecycle import TRANSITIONS
from services.alerts.domain.policy import POLICIES, Bound, Rule

PAGE = (Path(__file__).parents[2] / "docs" / "clinical" / "policy.md").read_text("utf-8")
SIGNS = {"gt": ">", "ge": ">=", "lt": "<"}


def rows(header: str) -> list[str]:
    """The rows of the table with this header."""
    lines = PAGE.split(header, 1)[1].split("\n\n", 1)[0].strip().split("\n")
    return lines[1:]


def test_every_rule_is_on_the_page() -> None:
    """Policy, rule, kind, bounds and retirement, as data has them and in its order."""
    told = [
        f"| {policy.name} | {rule.name} | {rule.kind} | {', '.join(map(_bound, rule.bounds))} | {_until(rule)} |"
        for policy in POLICIES.values()
        for rule in policy.rules
    ]
    assert rows("| policy | rule | speaks of | when | until |\n") == told


def test_every_transition_is_on_the_page() -> None:
    """The life-cycle table is the code's."""
    told = [f"| {state} | {action} | {after} |" for (state, action), after in TRANSITIONS.items()]
    assert rows("| state | action | then |\n") == told


def _bound(bound: Bound) -> str:
    share = " of the range" if bound.unit == "span" else ""
    return f"{bound.of} {SIGNS[bound.comparison]} {bound.threshold:g}{share}"


def _until(rule: Rule) -> str:
    return "always" if rule.max_clients is None else f"the clinic has {rule.max_clients} clients"
