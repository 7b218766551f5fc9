"""A model card, for a person: fitted parameters beside the shipped, and simulated ratings beside the real."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table

from schemas.events import InstrumentParameters
from schemas.instruments import Instrument, UnknownInstrument, lookup
from services.lab.fitted_file import FittedFile
from services.scoring.domain.rates import RATES

SHARES: Final = (0.05, 0.02, 0.01, 0.005)
"""Of the rates, those that policies ask for."""
_MARGINALS: Final = (("mean", "mean"), ("standard deviation", "sd"), ("at the best score", "at_best"))
Row = tuple[str, str, str]


def show(console: Console, file: FittedFile) -> None:
    """One panel an instrument."""
    for key, fitted in file.parameters.items():
        instrument = lookup(key)
        if not isinstance(instrument, UnknownInstrument):
            console.print(_panel(instrument, fitted, file.card.get(key, {})))


def _panel(instrument: Instrument, fitted: InstrumentParameters, card: Mapping[str, float]) -> Panel:
    parts: list[RenderableType] = [_table(("parameter", "shipped", "fitted"), _parameters(instrument, fitted, card))]
    if card:
        parts += ["", _table(("ratings", "real", "simulated"), _marginals(card)), "", _made_from(card)]
    return Panel(Group(*parts), title=instrument.key)


def _table(columns: Row, rows: Iterable[Row]) -> Table:
    table = Table(columns[0], box=None, header_style="bold")
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
    more = {"autocorrelation": "autocorrelation", "strained_share": "share of strained sessions"}
    return "; ".join([told, *(f"{name} {card[key]:.2f}" for key, name in more.items() if key in card)])


def _said(value: float | None, *, places: int = 2) -> str:
    return "-" if value is None else f"{value:.{places}f}"
