"""Beat the Blues: reliable change and off-track on a real trial's outcomes (100 people, BDI at 0, 2, 4, 6, 8 months).

`BtheB.csv` of Rdatasets (HSAUR). What is tabulated is arithmetic on a file, not a finding about a treatment.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from statistics import stdev
from typing import Final, NamedTuple

from schemas.instruments import Source
from services.platform.errors import AttuneError
from services.scoring.domain import off_track, reliable

HIGH: Final = 63.0
RELIABILITY: Final = 0.86
"""Internal consistency of the BDI in psychiatric samples (Beck, Steer & Carbin 1988), recalled."""
FUNCTIONAL_FROM: Final = HIGH - 9
"""9 or less is minimal (Beck et al. 1988, recalled); turned upwards."""
OFF: Final = off_track.RED_SDS
_COLUMNS: Final = ("bdi.pre", "bdi.2m", "bdi.4m", "bdi.6m", "bdi.8m")
_SCALED: Final = Source("the ORS's surrogate at the same share of the BDI's span", "assumed")
CLASSES: Final[tuple[reliable.Change, ...]] = ("recovered", "improved", "unchanged", "deteriorated", "harmed")


class UnreadableTrial(AttuneError):
    """Not the file that was expected; names the line, never what stands there."""


class Patient(NamedTuple):
    """Scores upwards (63 less the BDI), in order; `None` where there was no measurement."""

    arm: str
    scores: tuple[float | None, ...]


class Row(NamedTuple):
    """One arm. `followed`: measured again at all; `off`: below the expected response by `OFF` SDs at the second score.

    `off_and_worse`: of those, not reliably better at the last measurement; `on_and_worse`: likewise of the others.
    """

    arm: str
    people: int
    followed: int
    classes: tuple[int, ...]
    off: int
    off_and_worse: int
    on_and_worse: int


def read(path: Path) -> list[Patient]:
    """Everybody in the file.

    Raises:
        UnreadableTrial: no such file, or not its columns.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return [_patient(number, row) for number, row in enumerate(csv.DictReader(file), start=2)]
    except (OSError, UnicodeDecodeError):
        raise UnreadableTrial(f"{path} cannot be read", hint="BtheB.csv of Rdatasets, csv/HSAUR") from None


def _patient(number: int, row: dict[str, str]) -> Patient:
    try:
        given = [row[name] for name in _COLUMNS]
        return Patient(
            row["treatment"], tuple(HIGH - float(each) if each not in {"", "NA"} else None for each in given)
        )
    except (KeyError, ValueError):
        expected = ", ".join(("treatment", *_COLUMNS))
        raise UnreadableTrial(f"line {number}: expected {expected}", hint="scores are numbers or empty") from None


def tabulated(patients: Sequence[Patient]) -> list[Row]:
    """Each arm, then both together."""
    sample = reliable.Sample(mean=0.0, sd=stdev(_first(each) for each in patients), reliability=RELIABILITY)
    config = curve(reliable.critical_change(sample))
    arms = [*dict.fromkeys(each.arm for each in patients)]
    rows = [_row(arm, [each for each in patients if each.arm == arm], sample, config) for arm in sorted(arms)]
    return [*rows, _row("both", patients, sample, config)]


def curve(deterioration: float) -> off_track.Config:
    """The surrogate on the BDI's scale."""
    unit = HIGH / 40
    return off_track.Config(
        curve=off_track.surrogate(0.0, unit, _SCALED),
        low=0.0,
        high=HIGH,
        cutoff=FUNCTIONAL_FROM,
        deterioration=deterioration,
        deterioration_source=Source("1.96 standard errors of the difference, SD of this file", "computed"),
    )


def _first(patient: Patient) -> float:
    first = patient.scores[0]
    if first is None:
        raise UnreadableTrial("somebody has no score before treatment", hint="bdi.pre is needed of everybody")
    return first


def _row(arm: str, patients: Sequence[Patient], sample: reliable.Sample, config: off_track.Config) -> Row:
    followed = [each for each in patients if any(score is not None for score in each.scores[1:])]
    changes = [_change(each, sample) for each in followed]
    off = [_off(each, config) for each in followed]
    worse = [change not in {"recovered", "improved"} for change in changes]
    return Row(
        arm,
        len(patients),
        len(followed),
        tuple(changes.count(each) for each in CLASSES),
        sum(off),
        sum(bad for bad, below in zip(worse, off, strict=True) if below),
        sum(bad for bad, below in zip(worse, off, strict=True) if not below),
    )


def _change(patient: Patient, sample: reliable.Sample) -> reliable.Change:
    pre = _first(patient)
    post = next(score for score in reversed(patient.scores) if score is not None)
    return reliable.classify(reliable.jacobson_truax(sample, pre, post), pre, post, FUNCTIONAL_FROM)


def _off(patient: Patient, config: off_track.Config) -> bool:
    """At the first measurement after the beginning."""
    known = [score for score in patient.scores if score is not None]
    state, _ = off_track.step(config, off_track.start(config), known[0])
    _, reading = off_track.step(config, state, known[1])
    return reading.deteriorated or (reading.below_sds is not None and reading.below_sds > OFF)


def markdown(rows: Sequence[Row]) -> str:
    """The table of the page."""
    head = [
        "arm",
        "people",
        "followed",
        *CLASSES,
        "off-track at the second score",
        "of them not better",
        "others not better",
    ]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for each in rows:
        cells = [each.arm, each.people, each.followed, *each.classes, each.off]
        others = each.followed - each.off
        shares = [f"{each.off_and_worse} ({_percent(each.off_and_worse, each.off)})"]
        shares.append(f"{each.on_and_worse} ({_percent(each.on_and_worse, others)})")
        lines.append(f"| {' | '.join(str(cell) for cell in [*cells, *shares])} |")
    return "\n".join(lines)


def _percent(count: int, of: int) -> str:
    return f"{count / of:.0%}" if of else "of none"
