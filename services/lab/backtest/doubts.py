"""What a person should know before trusting a backtest, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from services.alerts.domain.policy import DEFAULT

SHOWN: Final = 5
OFTEN: Final = 0.05
"""The default is made for one ordinary session in a hundred: so many are not ruptures alone."""
ENOUGH: Final = 200
"""Sessions from which on a share is worth a word."""


def doubts(found: dict[str, Any], labels: int, *, fitted: bool) -> Iterator[str]:
    """One line each. `labels`: how many were given; `fitted`: whether the clinic's own parameters were."""
    record = found["record"]
    yield from _refused(found)
    if record["taken_in_order_of"] == "care":
        yield "the lines do not come in the order in which they became known: taken in the order of care"
    if 2 * record["courses_closed"] < record["courses"]:
        unended = f"{record['courses'] - record['courses_closed']:,} of {record['courses']:,} courses"
        yield f"{unended} have no episode.closed: where care ended, that counts as silence"
    yield from _scatter(found, fitted=fitted)
    yield from _unused(found.get("labels", {}), labels)


def _unused(used: dict[str, Any], labels: int) -> Iterator[str]:
    if labels and labels != used.get("courses", 0):
        unused = labels - used.get("courses", 0)
        yield f"{unused:,} of {labels:,} labels name a client or an episode that the events do not"
    if differ := used.get("courses_with_other_sessions", 0):
        yield f"{differ:,} labels name another number of sessions than have an alliance rating"
    if beyond := used.get("ruptures_after_the_last_session", 0):
        yield f"{beyond:,} labelled ruptures begin after the record's last session, and are not counted"


def _refused(found: dict[str, Any]) -> Iterator[str]:
    refused = found["record"]["refused_lines"]
    if not refused:
        return
    yield f"{refused:,} {'lines were' if refused > 1 else 'line was'} no event and left out; the first:"
    for fault in found["first_refused"][:SHOWN]:
        yield f"  line {fault['line']}: {fault['pointer'] or 'the line'}: {fault['expected']}"


def _scatter(found: dict[str, Any], *, fitted: bool) -> Iterator[str]:
    """Shipped parameters that are not this clinic's: its ratings vary more than those the policy is made for."""
    seen = found["policies"].get(DEFAULT.name)
    if fitted or seen is None or found["record"]["alliance_sessions"] < ENOUGH:
        return
    share = seen["share_of_sessions_in_which_a_rule_held"]
    if share > OFTEN:
        yield (
            f"a rule of {DEFAULT.name} held in {share:.0%} of sessions; it is made for 1 % of ordinary ones. Ratings "
            f"may vary more here than the shipped parameters expect: attune fit --events FILE, then --fitted"
        )
