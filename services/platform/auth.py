"""API keys: who may do what, for which tenant. The tenant comes from the key and from nowhere else.

`atk_<prefix>_<secret><check>`: the prefix finds the row, the check catches a mistyped key without asking the database,
and only a SHA-256 of the whole is stored (the secret has 160 random bits: nothing to guess, so no slow hash).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import zlib
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.platform.clock import Clock
from services.platform.db import transaction
from services.platform.errors import AttuneError

Scope = Literal["events:write", "receipts:read", "alerts:read", "alerts:write", "clock"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
CACHE_FOR = timedelta(seconds=30)
"""How long a revoked key may still be taken for valid."""
CACHED_KEYS = 10_000
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_KEY = re.compile(r"atk_([0-9a-z]{8})_([0-9a-z]{32})([0-9a-z]{6})")


class Unauthenticated(AttuneError):
    """No key, or none that is valid now."""


class Forbidden(AttuneError):
    """A valid key without the scope."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling."""

    tenant_id: UUID
    key_id: str
    scopes: frozenset[str]

    def require(self, scope: Scope) -> None:
        """Go on only with the scope.

        Raises:
            Forbidden: the key does not have it.
        """
        if scope not in self.scopes:
            raise Forbidden(f"this key lacks the scope {scope}", hint="ask for a key with it: attune keys create")


def digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def new_key() -> tuple[str, str]:
    """A new key: its prefix, and the text that is shown once."""
    prefix, secret = _random(8), _random(32)
    return prefix, f"atk_{prefix}_{secret}{_check(prefix + secret)}"


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _check(body: str) -> str:
    number, letters = zlib.crc32(body.encode()), ""
    for _ in range(6):
        number, rest = divmod(number, len(_ALPHABET))
        letters += _ALPHABET[rest]
    return letters


def prefix_of(key: str) -> str | None:
    """The prefix of a well-formed key, `None` of anything else.

    >>> prefix, key = new_key()
    >>> prefix_of(key) == prefix, prefix_of(key[:-1] + "!"), prefix_of("Bearer")
    (True, None, None)
    """
    match = _KEY.fullmatch(key)
    return match[1] if match and hmac.compare_digest(_check(match[1] + match[2]), match[3]) else None


_LOOK_UP = text("""
    select tenant_id, prefix, digest, scopes, expires_at from access.api_key
    where prefix = :prefix and revoked_at is null and (expires_at is null or expires_at > :now)
""")
_BY_PREFIX = text("select set_config('app.key_prefix', :prefix, true)")


class Keys:
    """Tells who calls, by key; remembers for half a minute."""

    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._known: OrderedDict[bytes, tuple[datetime, Principal]] = OrderedDict()

    async def authenticate(self, authorization: str | None) -> Principal:
        """Who presents this `Authorization` header.

        Raises:
            Unauthenticated: no bearer key, or not a valid one.
        """
        scheme, _, key = (authorization or "").partition(" ")
        key = key.strip() if scheme.lower() == "bearer" else ""
        presented, now = digest(key), self._clock.now()
        until, known = self._known.get(presented, (now, None))
        if known is not None and now < until:
            return known
        prefix = prefix_of(key)
        if prefix is None:
            raise Unauthenticated("an API key is needed", hint="send Authorization: Bearer atk_...")
        return await self._principal(prefix, presented, now)

    async def _principal(self, prefix: str, presented: bytes, now: datetime) -> Principal:
        found = await self._look_up(prefix, presented, now)
        self._known[presented] = (now + CACHE_FOR, found)
        while len(self._known) > CACHED_KEYS:
            self._known.popitem(last=False)
        return found

    async def _look_up(self, prefix: str, presented: bytes, now: datetime) -> Principal:
        async with transaction(self._engine) as connection:
            await connection.execute(_BY_PREFIX, {"prefix": prefix})
            row = (await connection.execute(_LOOK_UP, {"prefix": prefix, "now": now})).one_or_none()
        if row is None or not hmac.compare_digest(row.digest, presented):
            raise Unauthenticated("this API key is not valid", hint="was it revoked? attune keys list")
        return Principal(row.tenant_id, row.prefix, frozenset(row.scopes))


_INSERT = text("""
    insert into access.api_key (tenant_id, prefix, digest, scopes, expires_at)
    values (:tenant, :prefix, :digest, :scopes, :expires_at)
""")


async def issue(
    connection: AsyncConnection, tenant: UUID, scopes: Iterable[Scope], *, expires_at: datetime | None = None
) -> str:
    """Issue a key and return its text, which is not kept anywhere."""
    prefix, key = new_key()
    values = {"tenant": tenant, "prefix": prefix, "digest": digest(key), "scopes": sorted(set(scopes))}
    await connection.execute(_INSERT, values | {"expires_at": expires_at})
    return key
