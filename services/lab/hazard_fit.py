"""Fitting a hazard of dropout: a logit with a ridge penalty, cross-validated by person.

Rows are person-periods: one for each session that a client came to, with what followed. A session after which nothing
is known yet (an open episode's last) is no row: it is censored. An end that is no dropout competes; it has a logit of
its own, fitted where nobody dropped out. Everything the gate and the card say is out of sample: each person's hazards
come from models that never saw that person.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.lab.hazard_card import Tried, card_of
from services.lab.hazard_line import line
from services.lab.population import Floats, Marks
from services.platform.errors import AttuneError
from services.scoring.domain.hazard import FEATURES, FIRST_SESSIONS, Cause, Features, Gate, HazardModel

End = Literal["none", "dropped-out", "other-end"]
PENALTIES: Final = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Inverse strengths of the ridge that are tried."""
FOLDS: Final = 5
LEAST_DROPOUTS: Final = 20
_RARE_SPREAD: Final = 1e-9
_OTHER_PENALTY: Final = 0.1
Told = Callable[[int], None]


class TooFewEnds(AttuneError):
    """Nothing can be fitted to so few dropouts."""


class Period(NamedTuple):
    """One session of one person: what was known when it ended, and what followed.

    `therapist` and `instrument` are for the audit of subgroups alone; no model sees them.
    """

    person: str
    features: Features
    end: End
    therapist: str | None = None
    instrument: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """The rows as arrays. Unknown features are NaN here."""

    names: tuple[str, ...]
    values: Floats
    session: NDArray[np.int64]
    person: NDArray[np.int64]
    dropped_out: Marks
    other_end: Marks


def tabled(periods: Sequence[Period], keep: tuple[str, ...] = ()) -> Table:
    """The features to keep; where none are named, those that are ever known and vary."""
    every = np.array([[_number(getattr(each.features, name)) for name in FEATURES] for each in periods])
    kept = [FEATURES.index(name) for name in keep] or [at for at in range(len(FEATURES)) if _varies(every[:, at])]
    _, person = np.unique([each.person for each in periods], return_inverse=True)
    return Table(
        names=tuple(FEATURES[place] for place in kept),
        values=every[:, kept],
        session=np.array([each.features.session for each in periods]),
        person=person,
        dropped_out=np.array([each.end == "dropped-out" for each in periods]),
        other_end=np.array([each.end == "other-end" for each in periods]),
    )


def fit(periods: Iterable[Period], *, seed: int = 1, told: Told = lambda _: None) -> HazardModel:
    """A model with its gate and its card. `told` hears of each model that is made.

    Raises:
        TooFewEnds: fewer than 20 dropouts, or than 20 people.
    """
    rows = [each for each in periods if each.features.session >= 1]
    table = tabled(rows) if rows else None
    if table is None or table.dropped_out.sum() < LEAST_DROPOUTS:
        seen = 0 if table is None else int(table.dropped_out.sum())
        raise TooFewEnds(
            f"{seen} dropouts, {LEAST_DROPOUTS} are needed to fit anything",
            hint="bring closed episodes with their reasons, or --labels that say who dropped out",
        )
    penalty = _best_penalty(table, seed, told)
    tried = out_of_sample(table, penalty, seed, told)
    model = fitted(table, penalty)
    told(1)
    seen_card = card_of(rows, Tried(table.person, tried, table.dropped_out), seed)
    gate = Gate(
        closed_episodes=int((table.dropped_out | table.other_end).sum()),
        auc_low=seen_card["auc"]["low"],
        slope=seen_card["calibration slope"]["estimate"],
        dropouts=int(table.dropped_out.sum()),
    )
    found = line(model, table, tried, logits(model, table, model.other_end))
    return replace(
        model,
        gate=gate,
        within_three=found.within_three,
        line=found.value,
        card={"penalty": {"estimate": penalty}, "line": found.card, **seen_card},
    )


def fitted(table: Table, penalty: float) -> HazardModel:
    """The coefficients from all rows, with a gate that is shut."""
    means, scales = _moments(table.values)
    design = _design(table, means, scales)
    stayed = ~table.dropped_out
    dropout = _cause(design, table.dropped_out, penalty, len(table.names))
    other = _cause(design[stayed], table.other_end[stayed], _OTHER_PENALTY, len(table.names))
    return HazardModel(
        features=table.names,
        means=tuple(means.tolist()),
        scales=tuple(scales.tolist()),
        dropout=dropout,
        other_end=other,
        gate=Gate(closed_episodes=0, auc_low=0.0, slope=0.0),
    )


def logits(model: HazardModel, table: Table, cause: Cause | None = None) -> Floats:
    """Of all rows at once: what `hazard.weigh` says of each of them; of dropout unless another end is named."""
    places = [table.names.index(name) for name in model.features]
    values = (table.values[:, places] - model.means) / model.scales
    return np.asarray(np.hstack((_time(table.session), np.nan_to_num(values))) @ _weights(cause or model.dropout))


def out_of_sample(table: Table, penalty: float, seed: int, told: Told = lambda _: None) -> Floats:
    """Each row's logit, by a model that never saw the person."""
    found, fold = np.zeros(table.session.size), _folds(table, seed)
    for each in range(FOLDS):
        apart = fold == each
        learned, asked = part(table, ~apart), part(table, apart)
        means, scales = _moments(learned.values)
        cause = _cause(_design(learned, means, scales), learned.dropped_out, penalty, len(table.names))
        found[apart] = _design(asked, means, scales) @ _weights(cause)
        told(1)
    return found


def part(table: Table, rows: Marks) -> Table:
    return Table(
        table.names,
        table.values[rows],
        table.session[rows],
        table.person[rows],
        table.dropped_out[rows],
        table.other_end[rows],
    )


def log_loss(logit: Floats, happened: Marks) -> float:
    """Mean, in nats."""
    return float(np.mean(np.logaddexp(0.0, np.where(happened, -logit, logit))))


def _best_penalty(table: Table, seed: int, told: Told) -> float:
    losses = [log_loss(out_of_sample(table, penalty, seed, told), table.dropped_out) for penalty in PENALTIES]
    return PENALTIES[int(np.argmin(losses))]


def _folds(table: Table, seed: int) -> NDArray[np.int64]:
    """Of each row: whole persons, those who dropped out shared out evenly."""
    people = int(table.person.max()) + 1
    left = np.bincount(table.person, weights=table.dropped_out, minlength=people) > 0
    rng = np.random.default_rng([seed, people])
    order = np.lexsort((rng.random(people), left))
    fold = np.empty(people, np.int64)
    fold[order] = np.arange(people) % FOLDS
    return fold[table.person]


def _weights(cause: Cause) -> Floats:
    return np.array([*cause.first, cause.later, cause.slope, *cause.weights])


def _moments(values: Floats) -> tuple[Floats, Floats]:
    """Over the rows where each is known."""
    known = np.isfinite(values)
    count = np.maximum(known.sum(axis=0), 1)
    means = np.where(known, values, 0.0).sum(axis=0) / count
    spread = np.sqrt(np.where(known, (values - means) ** 2, 0.0).sum(axis=0) / count)
    return means, np.where(spread > _RARE_SPREAD, spread, 1.0)


def _design(table: Table, means: Floats, scales: Floats) -> Floats:
    return np.hstack((_time(table.session), np.nan_to_num((table.values - means) / scales)))


def _time(session: NDArray[np.int64]) -> Floats:
    """Columns: the first six sessions, later ones, and `ln(t / 7)` of those."""
    first = session[:, None] == np.arange(1, FIRST_SESSIONS + 1)
    later = session > FIRST_SESSIONS
    slope = np.where(later, np.log(session / (FIRST_SESSIONS + 1)), 0.0)
    return np.column_stack((first, later, slope)).astype(np.float64)


def _cause(design: Floats, happened: Marks, penalty: float, features: int) -> Cause:
    """Sessions of which too little is known are pulled to the hazard of all of them."""
    if not happened.any() or happened.all():
        rate = (happened.sum() + 0.5) / (happened.size + 1)
        same = float(np.log(rate / (1 - rate)))
        return Cause((same,) * FIRST_SESSIONS, same, 0.0, (0.0,) * features)
    found = regression()(C=penalty, max_iter=500, solver="newton-cholesky").fit(design, happened)
    base, weights = float(found.intercept_[0]), found.coef_[0].tolist()
    times, rest = weights[: FIRST_SESSIONS + 2], weights[FIRST_SESSIONS + 2 :]
    first = tuple(base + each for each in times[:FIRST_SESSIONS])
    return Cause(first, base + times[FIRST_SESSIONS], times[FIRST_SESSIONS + 1], tuple(rest))


class FittingLibraryMissing(AttuneError):
    """Scikit-learn is an extra of its own."""


def regression() -> type[Any]:
    """Scikit-learn's logistic regression.

    Raises:
        FittingLibraryMissing: it is not installed.
    """
    try:
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - an extra that no service has
    except ImportError as missing:
        raise FittingLibraryMissing(
            "fitting needs scikit-learn, which is not installed", hint="pip install attune[lab]"
        ) from missing
    found: type[Any] = LogisticRegression
    return found


def _number(value: Any) -> float:  # noqa: ANN401 - a feature by name
    return float("nan") if value is None else float(value)


def _varies(column: Floats) -> bool:
    known = column[np.isfinite(column)]
    return bool(known.size and np.ptp(known) > 0)
