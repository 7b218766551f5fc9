"""The policy in force in one clinic, and decisions under it that know of what an earlier one said. Pure.

Alerts are named by their rule, so another policy would name the same strain anew. Once a clinic has had a policy of its
own, an alert on the same rating, or one that stands, keeps its name: nobody is told twice. What the new policy finds
only in what was known before, and is over, is history.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from services.alerts.domain.decide import decide
from services.alerts.domain.lifecycle import STANDING
from services.alerts.domain.policy import Policy
from services.alerts.domain.reconcile import Stored
from services.alerts.domain.record import Case
from services.alerts.domain.wanted import Wanted, alert_id

Names = Mapping[UUID, UUID]
"""From an alert's name under the policy in force to the one it has already."""


@dataclass(frozen=True, slots=True)
class LivePolicy:
    """Which policy, the how manieth of the clinic's own (`None`: never had one), and since when on its clock."""

    policy: Policy
    version: int | None = None
    since: datetime | None = None


def decided(live: LivePolicy, case: Case, stored: Mapping[UUID, Stored]) -> tuple[Wanted, ...]:
    """Every alert this episode should have, by the names they have in the records."""
    if live.version is None:
        return decide(live.policy, case)
    names = _on_the_same_rating(live.policy, case, stored)
    acts = {**case.acts, **{ours: case.acts[known] for ours, known in names.items() if known in case.acts}}
    wanted = [_renamed(each, names) for each in decide(live.policy, replace(case, acts=acts))]
    standing = _that_stand(wanted, stored)
    before = {each.rating_id for each in case.ratings if _known_before(each.recorded_at, live.since)}
    return tuple([_as_history(_renamed(each, standing), before) for each in wanted])


def _on_the_same_rating(policy: Policy, case: Case, stored: Mapping[UUID, Stored]) -> Names:
    """One rating is one thing to talk about, whatever the rule is called. Of several, what stands comes first."""
    found: dict[UUID, UUID] = {}
    for known in sorted(stored.values(), key=lambda each: (each.state not in STANDING, each.alert_id)):
        for rule in policy.rules:
            ours = alert_id(case.episode.episode_id, rule.kind, str(known.rating_id), rule.name)
            if known.rating_id is not None and rule.kind == known.kind and ours not in stored:
                found.setdefault(ours, known.alert_id)
    return found


def _that_stand(wanted: Sequence[Wanted], stored: Mapping[UUID, Stored]) -> Names:
    """What stands and should, though for another rating than before."""
    names = {each.alert_id for each in wanted}
    free = {each.kind: each.alert_id for each in stored.values() if each.state in STANDING and _rated(each, names)}
    new = [each for each in wanted if each.state == "open" and each.alert_id not in stored and each.rating_id]
    return {each.alert_id: free[each.kind] for each in new if each.kind in free}


def _rated(known: Stored, names: set[UUID]) -> bool:
    return known.rating_id is not None and known.alert_id not in names


def _renamed(wanted: Wanted, names: Names) -> Wanted:
    return replace(wanted, alert_id=names.get(wanted.alert_id, wanted.alert_id))


def _known_before(recorded_at: datetime | None, since: datetime | None) -> bool:
    return recorded_at is not None and since is not None and recorded_at <= since


def _as_history(wanted: Wanted, before: set[UUID]) -> Wanted:
    over = wanted.state != "open" and wanted.rating_id in before
    return replace(wanted, historical=True) if over else wanted
