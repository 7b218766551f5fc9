"""What people said of a merged client's alerts goes with them: whoever acknowledged one is not asked again.

Scoring tells of the two clients in two partitions, so an heir may be opened before or after its alert is withdrawn.
What was said is noted under the heir's name whether it is there or not, and heeded by whichever comes second.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.merged import record_in
from services.alerts.adapters import statements as sql
from services.alerts.domain.policy import Rule
from services.alerts.domain.reconcile import Stored
from services.alerts.domain.wanted import alert_id

Named = tuple[UUID, UUID]
"""A tenant and an alert of its own."""


class Heir(NamedTuple):
    """An alert, and the one on the copy of its rating in the other client's episode."""

    tenant_id: UUID
    alert_id: UUID
    heir_id: UUID


def of(tenant: UUID, episode: UUID, alerts: Iterable[Stored], rules: Iterable[Rule]) -> Iterator[Heir]:
    """The heirs of alerts on ratings, in the episode that has the ratings now.

    By whichever rule of the kind: with more ratings before it, the same rating may be spoken of by another.
    """
    names = defaultdict[str, set[str]](set)
    for rule in rules:
        names[rule.kind].add(rule.name)
    for alert in alerts:
        if alert.rating_id is not None:
            rating = str(record_in(episode, alert.rating_id))
            trigger = f"{rating}|{alert.item}" if alert.kind == "risk-item" else rating
            for name in sorted(names[alert.kind] | {alert.rule}):
                yield Heir(tenant, alert.alert_id, alert_id(episode, alert.kind, trigger, name))


async def follow(connection: AsyncConnection, heirs: Sequence[Heir], opened: Iterable[Named]) -> list[UUID]:
    """Note what was said of the alerts of these heirs; the episodes of alerts that stand otherwise for it."""
    told = {(heir.tenant_id, heir.heir_id) for heir in heirs} & await _carried(connection, heirs)
    named = sorted(told | set(opened))
    if not named:
        return []
    tenants, alerts = zip(*named, strict=True)
    heeded = await connection.execute(sql.HEED, {"tenants": list(set(tenants)), "alerts": list(alerts)})
    return sorted(set(heeded.scalars()))


async def _carried(connection: AsyncConnection, heirs: Sequence[Heir]) -> set[Named]:
    if not heirs:
        return set()
    tenants, alerts, to = zip(*heirs, strict=True)
    about = {"tenants": list(tenants), "alerts": list(alerts), "heirs": list(to)}
    return {(row.tenant_id, row.alert_id) for row in await connection.execute(sql.CARRY, about)}
