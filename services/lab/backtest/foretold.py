"""How well a clinic's hazard foretold who dropped out: over labelled courses, at the end of each session."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Any

import numpy as np

from services.lab.backtest.tally import Judged
from services.lab.hazard_card import MEASURES, Tried, by_decile, intervals

_SEED = 20263


def foretold(judged: Sequence[Judged]) -> dict[str, Any] | None:
    """AUC, PR-AUC, Brier and calibration with 95 % intervals by person; calibration by decile."""
    asked = [each for each in judged if each.foretold and each.dropped_out is not None]
    if not any(each.dropped_out for each in asked):
        return None
    sizes = [len(each.foretold) for each in asked]
    happened = np.concatenate([_happened(each) for each in asked])
    logit = np.array([log(chance / (1 - chance)) for each in asked for chance in each.foretold])
    tried = Tried(np.repeat(np.arange(len(asked)), sizes), logit, happened)
    told = {name: dict(figures) for name, figures in intervals(tried, MEASURES, _SEED).items()}
    deciles = {name: dict(figures) for name, figures in by_decile(tried)}
    return {"courses": len(asked), "sessions": sum(sizes), "dropouts": int(happened.sum()), **told, **deciles}


def _happened(course: Judged) -> np.ndarray[Any, np.dtype[np.bool_]]:
    last = np.zeros(len(course.foretold), bool)
    last[-1] = bool(course.dropped_out)
    return last
