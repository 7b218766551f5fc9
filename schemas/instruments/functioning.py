"""Distress and functioning: CORE-10 and WSAS."""

from __future__ import annotations

from dataclasses import replace

from schemas.instruments.model import (
    LOCAL,
    Code,
    Cutoff,
    Figure,
    Instrument,
    Item,
    Licence,
    MissingRule,
    Risk,
    Scale,
    questions,
)
from schemas.instruments.model import Source as From
from schemas.instruments.sources import ARITHMETIC, OWN_CODE, wide_prior

_CORE = From("coresystemtrust.org.uk; CamCOPS core10.py", "verified")
_MUNDT = From("Mundt 2002, Br J Psychiatry 180:461-4", "verified")
_FORTY = Scale(0, 40, 1, ARITHMETIC)
_RISK = Risk(1, 2, From("the risk item of CORE-10, handled as PHQ-9 item 9 is", "assumed"))
_WSAS_FACETS = ("work", "home", "social_leisure", "private_leisure", "relationships")


def _core_items() -> tuple[Item, ...]:
    plain = questions(Scale(0, 4, 1, _CORE), 10, reversed_items=(2, 3))
    return tuple(replace(item, risk=_RISK) if item.code == "q6" else item for item in plain)


CORE_10 = Instrument(
    key="core-10@1",
    name="Clinical Outcomes in Routine Evaluation, 10 items",
    family="outcome",
    raters=("client",),
    items=_core_items(),
    direction="down",
    rule="sum",
    total=_FORTY,
    missing=MissingRule(9, _CORE, indispensable=("q6",)),
    prior=wide_prior(_FORTY),
    licence=Licence(
        "free-unaltered",
        "Free to use and copy unaltered (CC BY-ND 4.0).",
        From("CORE System Trust", "recalled"),
    ),
    cutoffs=(
        Cutoff(11, "ge", "clinical range, mild", _CORE),
        Cutoff(15, "ge", "moderate", _CORE),
        Cutoff(20, "ge", "moderately severe", _CORE),
        Cutoff(25, "ge", "severe", _CORE),
    ),
    figures=(Figure("reliable change", 6, From("CORE System Trust", "recalled")),),
    codes=(Code(LOCAL, "core-10-1", "instrument", OWN_CODE),),
    notes=("The risk item is never prorated: without q6 there is no total.",),
)

WSAS = Instrument(
    key="wsas@1",
    name="Work and Social Adjustment Scale",
    family="outcome",
    raters=("client",),
    items=tuple(
        Item(f"q{number}", Scale(0, 8, 1, _MUNDT), facet=facet) for number, facet in enumerate(_WSAS_FACETS, start=1)
    ),
    direction="down",
    rule="sum",
    total=_FORTY,
    missing=MissingRule(5, From("no rule found: every item required", "assumed")),
    prior=wide_prior(_FORTY),
    licence=Licence(
        "free", "Free; asking the author is a courtesy.", From("Rehabilitation Measures Database", "verified")
    ),
    cutoffs=(
        Cutoff(10, "ge", "significant impairment", _MUNDT),
        Cutoff(20, "gt", "moderately severe or worse", _MUNDT),
    ),
    figures=(
        Figure("alpha, lowest", 0.70, From("Mundt 2002: .70 to .94", "verified")),
        Figure("retest", 0.73, _MUNDT),
        Figure("reliable change", 8, From("NHS Talking Therapies manual", "recalled")),
    ),
    codes=(Code(LOCAL, "wsas-1", "instrument", OWN_CODE),),
)
