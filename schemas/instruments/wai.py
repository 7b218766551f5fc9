"""Working Alliance Inventory, short forms. The response format is in the key: mixed ones are a silent false alarm."""

from __future__ import annotations

from schemas.instruments.model import (
    LOCAL,
    Code,
    Figure,
    Instrument,
    Item,
    Licence,
    MissingRule,
    Scale,
    questions,
)
from schemas.instruments.model import Source as From
from schemas.instruments.sources import ARITHMETIC, NO_CODE, alliance_prior

_HATCHER_2006 = From("Hatcher & Gillaspy 2006, Psychother Res 16:12-25; Munder 2010, CPP 17:231-239", "verified")
_HATCHER_2020 = From(
    "Hatcher, Lindqvist & Falkenstrom 2020, Psychother Res 30:706-717; item count recalled", "recalled"
)
_FACETS = {"goal": (4, 6, 8, 11), "task": (1, 2, 10, 12), "bond": (3, 5, 7, 9)}
_FACET_OF = {number: facet for facet, numbers in _FACETS.items() for number in numbers}
_MISSING = MissingRule(10, From("10 of 12, 3 of 4 a facet: convention", "recalled"), min_per_facet=3)
_NO_CUTOFF = "No cut-off exists (Horvath, wai.profhorvath.com/criteria)."
_LICENCE = Licence(
    "permission",
    "Free for research and clinical use with citation; a fee for commercial use is possible.",
    From("rights passed to the Society for Psychotherapy Research; terms recalled", "recalled"),
)


def _items(answers: Scale) -> tuple[Item, ...]:
    return tuple(Item(f"q{number}", answers, facet=_FACET_OF[number]) for number in range(1, 13))


_SUM_5 = Scale(12, 60, 1, ARITHMETIC)
_SUM_7 = Scale(12, 84, 1, ARITHMETIC)
_SUM_THERAPIST = Scale(10, 50, 1, ARITHMETIC)

WAI_SR_5 = Instrument(
    key="wai-sr@5pt",
    name="Working Alliance Inventory, short revised, client, 5-point",
    family="alliance",
    raters=("client",),
    items=_items(Scale(1, 5, 1, _HATCHER_2006)),
    direction="up",
    rule="sum",
    total=_SUM_5,
    missing=_MISSING,
    prior=alliance_prior(_SUM_5),
    licence=_LICENCE,
    figures=(
        Figure("alpha", 0.91, From("total .91 to .92", "recalled")),
        Figure("SD", 8.4, From("SD of the mean .7, times 12; the .7 is recalled", "recalled")),
        Figure("reliable change", 6.6, From("from SD .7 and alpha, which are recalled", "computed")),
    ),
    codes=(Code(LOCAL, "wai-sr-5pt", "instrument", NO_CODE),),
    notes=(_NO_CUTOFF, "No item reversed (recalled)."),
)

WAI_SR_7 = Instrument(
    key="wai-sr@7pt",
    name="Working Alliance Inventory, short revised, client, 7-point",
    family="alliance",
    raters=("client",),
    items=_items(Scale(1, 7, 1, _HATCHER_2006)),
    direction="up",
    rule="sum",
    total=_SUM_7,
    missing=_MISSING,
    prior=alliance_prior(_SUM_7),
    licence=_LICENCE,
    codes=(Code(LOCAL, "wai-sr-7pt", "instrument", NO_CODE),),
    notes=(_NO_CUTOFF, "No item reversed (recalled)."),
)

WAI_SRT = Instrument(
    key="wai-srt@5pt",
    name="Working Alliance Inventory, short revised, therapist, 5-point",
    family="alliance",
    raters=("therapist",),
    items=questions(Scale(1, 5, 1, _HATCHER_2020), 10),
    direction="up",
    rule="sum",
    total=_SUM_THERAPIST,
    missing=MissingRule(9, From("9 of 10, after the client form's 10 of 12", "assumed")),
    prior=alliance_prior(_SUM_THERAPIST),
    licence=_LICENCE,
    codes=(Code(LOCAL, "wai-srt-5pt", "instrument", NO_CODE),),
    notes=(_NO_CUTOFF, "Which item belongs to which facet was not read: no facets are scored."),
)
