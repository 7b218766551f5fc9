"""Session Rating Scale and Outcome Rating Scale: score-only. Their wording and electronic forms are restricted."""

from __future__ import annotations

from schemas.instruments.model import LOCAL, Code, Cutoff, Figure, Instrument, Item, Licence, MissingRule, Prior, Scale
from schemas.instruments.model import Source as From
from schemas.instruments.sources import ARITHMETIC, NO_CODE

_DUNCAN_2003 = From("Duncan, Miller, Sparks et al. 2003, J Brief Ther 3:3-12", "verified")
_MILLER_2003 = From("Miller et al. 2003; four 10-cm lines read in mm / 10", "verified")
_LINE = Scale(0, 10, 0.1, _DUNCAN_2003)
_LINE_ORS = Scale(0, 10, 0.1, _MILLER_2003)
_FORTY = Scale(0, 40, 0.1, ARITHMETIC)
_COMPLETE = MissingRule(4, From("4 of 4 required, no proration (manual)", "recalled"))
_LICENCE = Licence(
    "restricted",
    "Individual licence free, group licence paid; electronic versions may not be distributed. We take scores only.",
    From("licence text, PCOMS International; the pattern is CamCOPS's", "verified"),
)

SRS = Instrument(
    key="srs@3",
    name="Session Rating Scale, version 3",
    family="alliance",
    raters=("client",),
    items=tuple(
        Item(code, _LINE, facet=code) for code in ("relationship", "goals_and_topics", "approach_or_method", "overall")
    ),
    direction="up",
    rule="sum",
    total=_FORTY,
    missing=_COMPLETE,
    prior=Prior(39.0, 3.6, 2.4, From("our simulation of a typical clinic: refit at 200 clients", "simulated")),
    licence=_LICENCE,
    cutoffs=(
        Cutoff(36, "lt", "vendor convention, not a clinical cut-off", From("OpenFIT dashboard: SRS < 36", "verified")),
    ),
    item_cutoff=Cutoff(9, "lt", "vendor convention, worth asking about", From("secondary page on PCOMS", "verified")),
    figures=(
        Figure("alpha", 0.88, From("Duncan et al. 2003", "recalled")),
        Figure("retest", 0.64, From("Duncan et al. 2003", "recalled")),
        Figure("retest, lowest of 4 studies", 0.54, From("2020 review, doi 10.1080/26408066.2020.1729281", "verified")),
        Figure("reliable change at SD 4.5, alpha .88", 4.3, From("1.96 sqrt2 SD sqrt(1-r)", "computed")),
        Figure("reliable change at SD 4.5, retest .64", 7.5, From("1.96 sqrt2 SD sqrt(1-r)", "computed")),
    ),
    codes=(Code(LOCAL, "srs-3", "instrument", NO_CODE),),
    score_only=True,
    notes=("For ages 13 and up.", "No alliance measure has a validated clinical cut-off."),
)

ORS = Instrument(
    key="ors@1",
    name="Outcome Rating Scale",
    family="outcome",
    raters=("client",),
    items=tuple(Item(code, _LINE_ORS, facet=code) for code in ("individual", "interpersonal", "social", "overall")),
    direction="up",
    rule="sum",
    total=_FORTY,
    missing=_COMPLETE,
    prior=Prior(19.0, 5.37, 5.93, From("intake mean 19, SD 8, r .45: sb = SD sqrt(r), sw = SD sqrt(1-r)", "assumed")),
    licence=_LICENCE,
    cutoffs=(Cutoff(25, "lt", "clinical range, adults", From("several PCOMS tools", "verified")),),
    figures=(
        Figure("reliable change", 5, From("manual; read only in tools that reuse it", "verified")),
        Figure("SD at intake", 8, From("surrogate of the expected treatment response", "assumed")),
        Figure("alpha, lower end of studies", 0.87, From("range .87 to .96", "recalled")),
    ),
    codes=(Code(LOCAL, "ors-1", "instrument", NO_CODE),),
    score_only=True,
    notes=("Dutch norms differ: Janse et al. 2014, N=587.",),
)
