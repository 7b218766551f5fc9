"""What became of posted events, in numbers and a few reasons."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from rich.console import Console

from services.cli.documents import Misfit

SHOWN: Final = 5


@dataclass(slots=True)
class Tally:
    """Counts, and the first refusals. Reasons name places and expectations, never values."""

    accepted: int = 0
    known: int = 0
    refused: int = 0
    reasons: list[Misfit] = field(default_factory=list)

    @property
    def total(self) -> int:
        return self.accepted + self.known + self.refused

    def refuse(self, misfit: Misfit) -> None:
        self.refused += 1
        if len(self.reasons) < SHOWN:
            self.reasons.append(misfit)

    def take(self, line: int, answer: dict[str, Any]) -> None:
        """Count one of the door's answers: 201 or 202 is new, 200 was known, anything else is a refusal."""
        status = int(answer.get("status", 0))
        if status == 200:
            self.known += 1
        elif 200 < status < 300:
            self.accepted += 1
        else:
            self.refuse(_misfit(line, answer))

    def as_json(self) -> dict[str, Any]:
        reasons = [{"line": one.line, "pointer": one.pointer, "expected": one.expected} for one in self.reasons]
        return {"accepted": self.accepted, "known": self.known, "refused": self.refused, "reasons": reasons}


def _misfit(line: int, answer: dict[str, Any]) -> Misfit:
    problem = answer.get("problem") or answer
    faults = problem.get("errors") or [{}]
    fault = faults[0]
    said = fault.get("expected") or fault.get("detail") or problem.get("detail") or f"status {answer.get('status')}"
    return Misfit(line, str(fault.get("pointer") or ""), str(said))


def report(console: Console, tally: Tally, *, as_json: bool, verb: str = "accepted") -> None:
    """Tell a person, or a machine."""
    if as_json:
        console.print_json(data=tally.as_json())
        return
    console.print(f"{tally.accepted:,} {verb}, {tally.known:,} already known, {tally.refused:,} refused")
    for one in tally.reasons:
        console.print(f"  line {one.line}: {one.pointer or 'the whole line'}: expected {one.expected}", markup=False)
    if tally.refused > len(tally.reasons):
        console.print(f"  and {tally.refused - len(tally.reasons):,} more")
