"""The vault: the one sealed place that knows who a surrogate is.

`(tenant, surrogate)` maps to the clinic's own reference, encrypted; from outside it is found only by a keyed blind
index. Every opening leaves an audit row in the same transaction. Nothing of it travels through Kafka, a log, a metric
or an error.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Literal
from uuid import UUID, uuid4

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import BigInteger, Identity, LargeBinary, String, UniqueConstraint, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from services.platform.db import Base
from services.platform.secrets import read_key
from services.platform.settings import Settings

Kind = Literal["client", "clinician"]
KEY_ID = "v1"
INDEX_BYTES = 16
_NONCE_BYTES = 12


class VaultEntry(Base):
    __tablename__ = "entry"
    __table_args__ = (UniqueConstraint("tenant_id", "kind", "blind_index"), {"schema": "vault"})

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    surrogate: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    blind_index: Mapped[bytes] = mapped_column(LargeBinary)
    ciphertext: Mapped[bytes] = mapped_column(LargeBinary)
    key_id: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class VaultOpening(Base):
    """Who opened what, why and when; append-only."""

    __tablename__ = "opening"
    __table_args__ = ({"schema": "vault"},)

    number: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    tenant_id: Mapped[UUID]
    surrogate: Mapped[UUID]
    opened_by: Mapped[str] = mapped_column(String(200))
    purpose: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime] = mapped_column(server_default=text("now()"))


@dataclass(frozen=True, slots=True, repr=False)
class VaultKeys:
    """The master keys; each tenant's own are derived from them."""

    encryption: bytes
    index: bytes

    @classmethod
    def from_settings(cls, settings: Settings) -> VaultKeys:
        """Read both keys.

        Raises:
            ConfigurationError: a key is missing, a default or too weak.
        """
        return cls(read_key(settings.secrets_dir, "vault-key"), read_key(settings.secrets_dir, "blind-index-key"))


@lru_cache(maxsize=4_096)
def _derived(master: bytes, purpose: str, tenant: UUID) -> bytes:
    hkdf = HKDF(algorithm=hashes.SHA256(), length=32, salt=tenant.bytes, info=f"attune {purpose}".encode())
    return hkdf.derive(master)


_SEAL = text("""
    insert into vault.entry (tenant_id, surrogate, kind, blind_index, ciphertext, key_id)
    select :tenant, n.surrogate, :kind, n.blind_index, n.ciphertext, :key_id
    from unnest(cast(:surrogates as uuid[]), cast(:indexes as bytea[]), cast(:ciphertexts as bytea[]))
      as n(surrogate, blind_index, ciphertext)
    order by n.blind_index
    on conflict (tenant_id, kind, blind_index) do nothing
""")
_FIND = text("""
    select blind_index, surrogate from vault.entry
    where tenant_id = :tenant and kind = :kind and blind_index = any(cast(:indexes as bytea[]))
""")
_OPEN = text("""
    select surrogate, kind, ciphertext from vault.entry
    where tenant_id = :tenant and surrogate = any(cast(:surrogates as uuid[]))
""")
_AUDIT = text("""
    insert into vault.opening (tenant_id, surrogate, opened_by, purpose)
    select :tenant, s, :opened_by, :purpose from unnest(cast(:surrogates as uuid[])) as s
""")


class Vault:
    """Seals references, finds surrogates, opens entries. Every call works inside the caller's transaction."""

    def __init__(self, keys: VaultKeys) -> None:
        self._keys = keys

    async def surrogates(
        self, connection: AsyncConnection, tenant: UUID, kind: Kind, references: Iterable[str]
    ) -> dict[str, UUID]:
        """The surrogate of each reference; a first sight makes one, and two at once make the same one."""
        by_index = {self._index(tenant, kind, reference): reference for reference in references}
        if not by_index:
            return {}
        found = await self._found(connection, tenant, kind, list(by_index))
        missing = [index for index in by_index if index not in found]
        if missing:
            await self._seal(connection, tenant, kind, {index: by_index[index] for index in missing})
            found |= await self._found(connection, tenant, kind, missing)
        return {by_index[index]: surrogate for index, surrogate in found.items()}

    async def find(self, connection: AsyncConnection, tenant: UUID, kind: Kind, reference: str) -> UUID | None:
        """The surrogate of a reference, if it was ever seen."""
        index = self._index(tenant, kind, reference)
        return (await self._found(connection, tenant, kind, [index])).get(index)

    async def open(
        self, connection: AsyncConnection, tenant: UUID, surrogates: Iterable[UUID], *, opened_by: str, purpose: str
    ) -> dict[UUID, str]:
        """The clinic's own references, each opening audited. Unknown surrogates are left out."""
        wanted = list(dict.fromkeys(surrogates))
        rows = (await connection.execute(_OPEN, {"tenant": tenant, "surrogates": wanted})).all()
        opened = {row.surrogate: self._decrypt(tenant, row.surrogate, row.kind, row.ciphertext) for row in rows}
        if opened:
            about = {"tenant": tenant, "opened_by": opened_by, "purpose": purpose, "surrogates": list(opened)}
            await connection.execute(_AUDIT, about)
        return opened

    def token(self, tenant: UUID, *parts: str) -> UUID:
        """A keyed surrogate for what needs no way back: a session, an episode's reference."""
        message = "\x1f".join(parts).encode()
        key = _derived(self._keys.index, "token", tenant)
        return UUID(bytes=hmac.digest(key, message, "sha256")[:16], version=5)

    async def _found(
        self, connection: AsyncConnection, tenant: UUID, kind: Kind, indexes: Sequence[bytes]
    ) -> dict[bytes, UUID]:
        rows = await connection.execute(_FIND, {"tenant": tenant, "kind": kind, "indexes": list(indexes)})
        return {row.blind_index: row.surrogate for row in rows}

    async def _seal(self, connection: AsyncConnection, tenant: UUID, kind: Kind, new: dict[bytes, str]) -> None:
        surrogates = [uuid4() for _ in new]
        sealed = [
            self._encrypt(tenant, surrogate, kind, reference)
            for surrogate, reference in zip(surrogates, new.values(), strict=True)
        ]
        values = {"surrogates": surrogates, "indexes": list(new), "ciphertexts": sealed}
        await connection.execute(_SEAL, values | {"tenant": tenant, "kind": kind, "key_id": KEY_ID})

    def _index(self, tenant: UUID, kind: Kind, reference: str) -> bytes:
        key = _derived(self._keys.index, f"index {kind}", tenant)
        return hmac.digest(key, reference.encode(), hashlib.sha256)[:INDEX_BYTES]

    def _encrypt(self, tenant: UUID, surrogate: UUID, kind: str, reference: str) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher(tenant).encrypt(nonce, reference.encode(), _bound_to(tenant, surrogate, kind))

    def _decrypt(self, tenant: UUID, surrogate: UUID, kind: str, sealed: bytes) -> str:
        nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        return self._cipher(tenant).decrypt(nonce, ciphertext, _bound_to(tenant, surrogate, kind)).decode()

    def _cipher(self, tenant: UUID) -> AESGCM:
        return AESGCM(_derived(self._keys.encryption, "encryption", tenant))


def _bound_to(tenant: UUID, surrogate: UUID, kind: str) -> bytes:
    """What a ciphertext is tied to: moved to another row, it does not open."""
    return f"{tenant}|{surrogate}|{kind}".encode()
