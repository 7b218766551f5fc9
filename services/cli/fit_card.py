"""A model card, for a person: fitted parameters beside the shipped, and simulated ratings beside the real."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table

from schemas.events import CurveParameters, HazardParameters, InstrumentParameters
from schemas.instruments import Instrument, UnknownInstrument, lookup
from services.cli import paper
from services.lab.fitted_file import FittedFile
from services.scoring.domain import off_track
from services.scoring.domain.config import upwards
from services.scoring.domain.hazard import refusals
from services.scoring.domain.rates import RATES
from services.scoring.fitted import curve_of, model_of

SHARES: Final = (0.05, 0.02, 0.01, 0.005)
"""Of the rates, those that policies ask for."""
_MARGINALS: Final = (("mean", "mean"), ("standard deviation", "sd"), ("at the best score", "at_best"))
_BEGINNINGS: Final = (0.25, 0.5)
"""Shares of the scale, upwards, that the expected response is shown from."""
_ENDS: Final = ("estimate", "low", "high")
Row = tuple[str, str, str]


def show(console: Console, file: FittedFile) -> None:
    """One panel an instrument."""
    for key, fitted in file.parameters.items():
        instrument = lookup(key)
        if not isinstance(instrument, UnknownInstrument):
            console.print(_panel(instrument, fitted, file.card.get(key, {})))
    for key, curve in file.curves.items():
        instrument = lookup(key)
        if not isinstance(instrument, UnknownInstrument):
            console.print(_response(instrument, curve, file.card.get(key, {})))
    if file.hazard is not None:
        console.print(_hazard(file.hazard))


def _response(instrument: Instrument, curve: CurveParameters, card: Mapping[str, float]) -> Panel:
    """What is expected by the last session of the curve, from a low and a middling beginning, beside the shipped."""
    shipped, scale = off_track.shipped(instrument).curve, instrument.total
    own = curve_of(curve)
    rows: list[Row] = []
    for intake in (scale.low + share * scale.span for share in _BEGINNINGS):
        before, now = (_said(each.gain + each.per_point * intake) for each in (shipped, own))
        rows.append((f"expected gain from {upwards(instrument, intake):g}", before, now))
    rows.append(("residual SD", _said(shipped.residual), _said(own.residual)))
    told = f"from {card.get('episodes', 0):,.0f} closed episodes, by session {curve.sessions}; points, a gain is better"
    return Panel(Group(_table(("response", "shipped", "fitted"), rows), "", told), title=instrument.key)


def _hazard(hazard: HazardParameters) -> Panel:
    names = ("auc", "pr-auc", "brier", "calibration slope")
    rows = [(name, *(_said(hazard.card.get(name, {}).get(end), places=3) for end in _ENDS)) for name in names]
    shut = refusals(model_of(hazard).gate)
    told = f"{hazard.gate.closed_episodes:,} closed episodes, {hazard.gate.dropouts:,} dropouts; line {hazard.line:.2f}"
    gate = f"gate off: {'; '.join(shut)}" if shut else "gate passed: it may speak"
    table = paper.table("out of sample", *_ENDS)
    for row in rows:
        table.add_row(*row)
    return Panel(Group(table, "", told, gate), title="dropout")


def _panel(instrument: Instrument, fitted: InstrumentParameters, card: Mapping[str, float]) -> Panel:
    parts: list[RenderableType] = [_table(("parameter", "shipped", "fitted"), _parameters(instrument, fitted, card))]
    if card:
        parts += ["", _table(("ratings", "real", "simulated"), _marginals(card)), "", _made_from(card)]
    return Panel(Group(*parts), title=instrument.key)


def _table(columns: Row, rows: Iterable[Row]) -> Table:
    table = paper.table(columns[0])
    for column in columns[1:]:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(*row)
    return table


def _parameters(instrument: Instrument, fitted: InstrumentParameters, card: Mapping[str, float]) -> list[Row]:
    prior, shipped, own = instrument.prior, dict(RATES.get(instrument.key, ())), dict(fitted.rates)
    rates = [
        (f"evidence that {share:.1%} of ordinary sessions reach (nats)", _said(shipped.get(share)), _said(own[share]))
        for share in SHARES
        if share in own
    ]
    likelihood = [card.get(f"log_likelihood_a_rating{each}") for each in ("_shipped", "")]
    return [
        ("mean of clients' levels (mu0)", _said(prior.mu0), _said(fitted.mu0)),
        ("spread between clients (sb)", _said(prior.sb), _said(fitted.sb)),
        ("spread within a client (sw)", _said(prior.sw), _said(fitted.sw)),
        *rates,
        ("log-likelihood of a rating", _said(likelihood[0], places=4), _said(likelihood[1], places=4)),
    ]


def _marginals(card: Mapping[str, float]) -> list[Row]:
    return [
        (name, _said(card.get(f"{key}_real"), places=3), _said(card.get(f"{key}_simulated"), places=3))
        for name, key in _MARGINALS
    ]


def _made_from(card: Mapping[str, float]) -> str:
    """Of a card that misses a number, without it.

    >>> _made_from({"clients": 412.0, "ratings": 3380.0, "autocorrelation": 0.31})
    'from 3,380 ratings in 412 courses; autocorrelation 0.31'
    """
    told = f"from {card.get('ratings', 0):,.0f} ratings in {card.get('clients', 0):,.0f} courses"
    more = {
        "autocorrelation": "autocorrelation",
        "strained_share": "share of strained sessions",
        "chance_over_simulated": "chance, over simulated",
    }
    return "; ".join([told, *(f"{name} {card[key]:.2f}" for key, name in more.items() if key in card)])


def _said(value: float | None, *, places: int = 2) -> str:
    return "-" if value is None else f"{value:.{places}f}"
