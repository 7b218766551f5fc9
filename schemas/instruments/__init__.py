"""Registry of instruments: pure data with sources, and the arithmetic of scoring them. No item wording is kept here."""

from __future__ import annotations

from schemas.instruments.model import Cutoff, Instrument, Item, Prior, Rater, Risk, Scale, Source
from schemas.instruments.registry import UnknownInstrument, catalogue, lookup
from schemas.instruments.scoring import Fault, RiskAnswer, Scored, index, rater_fault, risk_answers, score

__all__ = [
    "Cutoff",
    "Fault",
    "Instrument",
    "Item",
    "Prior",
    "Rater",
    "Risk",
    "RiskAnswer",
    "Scale",
    "Scored",
    "Source",
    "UnknownInstrument",
    "catalogue",
    "index",
    "lookup",
    "rater_fault",
    "risk_answers",
    "score",
]
