"""Symptom measures of primary care: PHQ-9 and GAD-7."""

from __future__ import annotations

from schemas.instruments.model import (
    LOINC,
    SNOMED,
    Code,
    Cutoff,
    Figure,
    Instrument,
    Item,
    Licence,
    MissingRule,
    Risk,
    Scale,
)
from schemas.instruments.model import Source as From
from schemas.instruments.sources import ARITHMETIC, wide_prior

_LOINC = From("loinc.org", "verified")
_ANSWERS = Scale(0, 3, 1, From("loinc.org, answers LA6568-5 to LA6571-9", "verified"))
_RECALLED = From("NHS Talking Therapies manual", "recalled")
_LICENCE = Licence(
    "free", "No permission required to reproduce, translate or display.", From("Pfizer notice in LOINC", "recalled")
)
_SELF_HARM = Risk(1, 2, From("Simon 2013, Louzon 2016, Rossom 2017: an answer of 0 is no reassurance", "verified"))
_PHQ = ("44250-9", "44255-8", "44259-0", "44254-1", "44251-7", "44258-2", "44252-5", "44253-3", "44260-8")
_GAD = ("69725-0", "68509-9", "69733-4", "69734-2", "69735-9", "69689-8", "69736-7")


def _items(loinc: tuple[str, ...], risk: dict[int, Risk]) -> tuple[Item, ...]:
    return tuple(
        Item(f"q{number}", _ANSWERS, risk=risk.get(number), codes=(Code(LOINC, code, "item", _LOINC),))
        for number, code in enumerate(loinc, start=1)
    )


_SUM_PHQ = Scale(0, 27, 1, ARITHMETIC)
_SUM_GAD = Scale(0, 21, 1, ARITHMETIC)

PHQ_9 = Instrument(
    key="phq-9@1",
    name="Patient Health Questionnaire, 9 items",
    family="outcome",
    raters=("client",),
    items=_items(_PHQ, {9: _SELF_HARM}),
    direction="down",
    rule="sum",
    total=_SUM_PHQ,
    missing=MissingRule(7, From("2 missing are prorated", "recalled")),
    prior=wide_prior(_SUM_PHQ),
    licence=_LICENCE,
    cutoffs=(
        Cutoff(10, "ge", "caseness", _RECALLED),
        Cutoff(5, "ge", "mild", _LOINC),
        Cutoff(15, "ge", "moderately severe", _LOINC),
        Cutoff(20, "ge", "severe", _LOINC),
    ),
    figures=(Figure("reliable change", 6, _RECALLED),),
    codes=(
        Code(LOINC, "44249-1", "panel", _LOINC),
        Code(LOINC, "44261-6", "total", _LOINC),
        Code(SNOMED, "720433000", "instrument", From("SNOMED CT", "recalled")),
    ),
    notes=("Item 9 unanswered is unknown, never 0.",),
)

GAD_7 = Instrument(
    key="gad-7@1",
    name="Generalised Anxiety Disorder, 7 items",
    family="outcome",
    raters=("client",),
    items=_items(_GAD, {}),
    direction="down",
    rule="sum",
    total=_SUM_GAD,
    missing=MissingRule(7, From("no rule found: every item required", "assumed")),
    prior=wide_prior(_SUM_GAD),
    licence=_LICENCE,
    cutoffs=(
        Cutoff(8, "ge", "caseness", _RECALLED),
        Cutoff(5, "ge", "mild", From("bands 5, 10, 15", "recalled")),
        Cutoff(10, "ge", "moderate", From("bands 5, 10, 15", "recalled")),
        Cutoff(15, "ge", "severe", From("bands 5, 10, 15", "recalled")),
    ),
    figures=(Figure("reliable change", 4, _RECALLED),),
    codes=(
        Code(LOINC, "69737-5", "panel", From("loinc.org", "recalled")),
        Code(LOINC, "70274-6", "total", _LOINC),
        Code(SNOMED, "445455005", "instrument", From("SNOMED CT", "recalled")),
    ),
    notes=("LOINC 69689-8 (item 6) speaks of 4 weeks: check before sending it to others.",),
)
