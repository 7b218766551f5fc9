"""Invented clinics on which rules are tried: what is assumed of each, in one place. None of it is a finding."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from services.lab.population import TYPICAL, Population, Variety

SHAPES_OF_ALL_KINDS: Final = replace(TYPICAL, variety=Variety())
"""Appendix A's clinic with staircases and slides besides: what the table is made on."""

CLINICS: Final[dict[str, Population]] = {
    "typical": SHAPES_OF_ALL_KINDS,
    "appendix-a": TYPICAL,
    "many ruptures": replace(TYPICAL, rupture_hazard=0.07, variety=Variety()),
    "low ratings": replace(TYPICAL, mean=35.4, between_sd=4.2, variety=Variety()),
    "at the ceiling": replace(TYPICAL, mean=41.0, between_sd=3.0, variety=Variety()),
    "variable clients": replace(TYPICAL, within_sd=3.5, variety=Variety(spread=0.25)),
    "steady clients": replace(TYPICAL, within_sd=1.6, variety=Variety(spread=0.25)),
    "long memory": replace(TYPICAL, autocorrelation=0.6, variety=Variety()),
    "heavy tails": replace(TYPICAL, variety=Variety(tails=4.0)),
    "half steps": replace(TYPICAL, variety=Variety(item_step=0.5)),
    "therapists": replace(TYPICAL, between_sd=3.2, variety=Variety(therapist_sd=1.8, transferred_share=0.15)),
    "gaps and holes": replace(
        TYPICAL, variety=Variety(gaps=(7, 7, 7, 14, 28), unrated=0.10, unrated_per_point=0.10, constant_share=0.05)
    ),
    "SAI": Population(
        mean=27.5,
        between_sd=2.9,
        within_sd=1.8,
        autocorrelation=0.35,
        growth=0.22,
        rupture_hazard=0.03,
        concealed_share=0.30,
        longest=20,
        variety=Variety(instrument="sai@1", fall=4.5, slide=0.9, item_noise=0.4),
    ),
}

_AS_IN_APPENDIX_A: Final = Variety(shapes=(("one-session", 0.5), ("v", 0.25), ("lasting", 0.25)))
WITH_A_BOUND: Final[dict[str, Population]] = {
    "appendix A": TYPICAL,
    "low ratings": replace(TYPICAL, mean=35.4, between_sd=4.2),
    "at the ceiling": replace(TYPICAL, mean=41.0, between_sd=3.0),
    "varying ratings": replace(TYPICAL, within_sd=3.5),
    "steady ratings": replace(TYPICAL, within_sd=1.6),
    "alike clients": replace(TYPICAL, between_sd=2.4),
    "heavy tails": replace(TYPICAL, variety=replace(_AS_IN_APPENDIX_A, tails=4.0)),
}
"""Appendix A's ruptures in clinics with other means, variances, ceilings and tails, of which the oracle knows all."""


def instrument_of(population: Population) -> str:
    return "srs@3" if population.variety is None else population.variety.instrument
