"""A clinic's own policy as data: written by the operator, read back whenever its alerts are decided."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerts.adapters import statements as sql
from services.alerts.domain.live_policy import LivePolicy
from services.alerts.domain.policy import Policy
from services.platform.errors import ConfigurationError


async def in_force(
    connection: AsyncConnection, clocks: Sequence[Row[Any]], installation: Policy
) -> dict[UUID, LivePolicy]:
    """What these clinics' clocks say is in force; nothing of a clinic that never had a policy of its own."""
    own = {row.tenant_id: row for row in clocks if row.policy_version is not None}
    if not own:
        return {}
    about = {"tenants": list(own), "versions": list({row.policy_version for row in own.values()})}
    texts = {(row.tenant_id, row.version): row.definition for row in await connection.execute(sql.OWN_POLICIES, about)}
    return {tenant: _live(clock, texts[tenant, clock.policy_version], installation) for tenant, clock in own.items()}


def _live(clock: Row[Any], definition: str | None, installation: Policy) -> LivePolicy:
    policy = installation if definition is None else read(definition)
    return LivePolicy(policy, clock.policy_version, clock.policy_since)


def written(policy: Policy) -> str:
    """The policy as JSON: all that makes it.

    >>> from services.alerts.domain.policy import DEFAULT
    >>> read(written(DEFAULT)) == DEFAULT
    True
    """
    return msgspec.json.encode(policy).decode()


@lru_cache(maxsize=1_000)
def read(text: str) -> Policy:
    """A policy from its JSON; what is left out is as in the shipped ones.

    Raises:
        ConfigurationError: it is none; says where and what was expected.
    """
    try:
        policy = msgspec.json.decode(text, type=Policy)
        unknown = _unknown(json.loads(text), msgspec.to_builtins(policy))
    except msgspec.DecodeError as error:
        raise ConfigurationError(f"no policy: {error}", hint="attune policy show NAME --json prints one") from None
    if unknown:
        raise ConfigurationError(f"no policy: nothing is called {unknown}", hint="attune policy show NAME --json")
    return policy


def _unknown(given: object, known: object, where: str = "") -> str | None:
    """The first name in what was given that a policy does not have."""
    if isinstance(given, dict) and isinstance(known, dict):
        pairs = [(each, known.get(name), f"{where}.{name}".lstrip(".")) for name, each in given.items()]
        strange = next((f"{where}.{name}".lstrip(".") for name in given if name not in known), None)
    elif isinstance(given, list) and isinstance(known, list):
        pairs = [(each, ours, f"{where}[{at}]") for at, (each, ours) in enumerate(zip(given, known, strict=True))]
        strange = None
    else:
        return None
    return strange or next(filter(None, (_unknown(*pair) for pair in pairs)), None)
