"""Brief alliance measures made for every session: SAI and ARM-5."""

from __future__ import annotations

from schemas.instruments.model import LOCAL, Code, Figure, Instrument, Licence, MissingRule, Scale, questions
from schemas.instruments.model import Source as From
from schemas.instruments.sources import ARITHMETIC, NO_CODE, alliance_prior

_SUM_SAI = Scale(0, 30, 1, ARITHMETIC)
_MEAN_ARM = Scale(1, 7, 0.2, ARITHMETIC)
_NO_CUTOFF = "No cut-off exists."
_COMPLETE = From("no rule found: every item required", "assumed")
_LICENCE = Licence(
    "permission",
    "Published in its paper; the authors' permission is asked for.",
    From("practice of the field", "recalled"),
)

SAI = Instrument(
    key="sai@1",
    name="Session Alliance Inventory",
    family="alliance",
    raters=("client",),
    items=questions(
        Scale(0, 5, 1, From("Falkenstrom et al. 2015, Psychol Assess 27:169-183; range recalled", "recalled")), 6
    ),
    direction="up",
    rule="sum",
    total=_SUM_SAI,
    missing=MissingRule(6, _COMPLETE),
    prior=alliance_prior(_SUM_SAI),
    licence=_LICENCE,
    figures=(Figure("CORE-OM next session per point", -1.27, From("SE .60, N=345, Kenya, PMC7776120", "verified")),),
    codes=(Code(LOCAL, "sai-1", "instrument", NO_CODE),),
    notes=(_NO_CUTOFF, "Best treated as one dimension (Falkenstrom 2015)."),
)

ARM_5 = Instrument(
    key="arm-5@1",
    name="Agnew Relationship Measure, 5 items",
    family="alliance",
    raters=("client", "therapist"),
    items=questions(Scale(1, 7, 1, From("Cahill et al. 2012, Psychol Psychother", "verified")), 5, reversed_items=(3,)),
    direction="up",
    rule="mean",
    total=_MEAN_ARM,
    missing=MissingRule(5, _COMPLETE),
    prior=alliance_prior(_MEAN_ARM),
    licence=_LICENCE,
    figures=(
        Figure("alpha", 0.83, From("Cahill et al. 2012", "recalled")),
        Figure("SD", 0.8, From("Cahill et al. 2012", "recalled")),
        Figure("reliable change", 0.91, From("from alpha .83 and SD .8, which are recalled", "computed")),
    ),
    codes=(Code(LOCAL, "arm-5-1", "instrument", NO_CODE),),
    notes=(_NO_CUTOFF, "Bond, partnership and confidence are sampled; five items make one score."),
)
