"""Ids at a tenth of their cost: the driver's own UUIDs, which are UUIDs to everybody, made and written in C.

Each event has two named ones and a token; made by the standard library they took longer than their digests.
`tests/property/test_ingest_quick.py` holds that they are the same ids, to Python, JSON and PostgreSQL.
"""

from __future__ import annotations

import hashlib
from typing import Final
from uuid import NAMESPACE_URL, UUID, uuid5

from asyncpg.pgproto import pgproto

FACTS: Final = uuid5(NAMESPACE_URL, "https://attune.care/facts")
_SALT: Final = hashlib.sha1(FACTS.bytes, usedforsecurity=False)


def named(name: str) -> UUID:
    """`uuid5(FACTS, name)`.

    >>> named("a") == uuid5(FACTS, "a")
    True
    """
    hashed = _SALT.copy()
    hashed.update(name.encode())
    digest = bytearray(hashed.digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    made: UUID = pgproto.UUID(bytes(digest))
    return made
