"""What a person may do to an alert. The life cycle's own rules decide whether it changes anything."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID


class Acts(Protocol):
    """The life cycle, as the pages need it: each leaves a step with who, when and why; twice is once."""

    async def acknowledge(self, tenant_id: UUID, alert_id: UUID, *, by: str) -> None: ...

    async def resolve(self, tenant_id: UUID, alert_id: UUID, *, by: str, reason: str) -> None: ...
