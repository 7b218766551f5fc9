"""What becomes of a draft."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple
from uuid import UUID

from services.platform.problems import Fault

Verdict = Literal["created", "known", "conflict", "episode-full", "refused", "failed"]
"""`refused`: it does not fit what is known, `fault` says how. `failed`: the database would not take it, nor later."""


class Accepted(NamedTuple):
    """What became of a draft: `received_at` is there unless it was refused."""

    verdict: Verdict
    fact_id: UUID
    received_at: datetime | None
    fault: Fault | None = None
