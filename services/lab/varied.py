"""Courses beyond appendix A: other shapes of rupture, other scales, therapists, missing ratings. Simulation only.

Every number of a `Variety` that is not appendix A's is an assumption to be tried, not a finding. The stream is its own,
so that nothing here can change what a seed gives there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast

import numpy as np
from numpy.random import Generator

from schemas.instruments import Instrument, UnknownInstrument, lookup
from services.lab.population import Course, Floats, Population, Ruptures, Shape, Variety

_STREAM: Final = 2
_LASTS: Final = 20
_FADING: Final = np.array((1.0, 0.6, 0.3))
_WEEK: Final = 7


class UnsuitableInstrumentError(ValueError):
    """The generator cannot rate with it."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"variety.instrument: {key!r} is not a known alliance measure that runs upwards; "
            "choose one such as 'srs@3', 'sai@1' or 'wai-sr@1' (schemas/instruments)"
        )


@dataclass(frozen=True, slots=True)
class _Clinic:
    population: Population
    variety: Variety
    instrument: Instrument
    therapists: Floats
    """How far each therapist's clients lie above the clinic's mean."""


@dataclass(slots=True)
class _Client:
    level: float
    spread: float
    constant: bool
    therapist: list[int]
    day: list[int]
    ruptures: Ruptures


def varied(seed: int, clients: int, population: Population, variety: Variety) -> list[Course]:
    """So many courses; a client whom no rating is known of has none."""
    instrument = lookup(variety.instrument)
    if isinstance(instrument, UnknownInstrument) or instrument.direction == "down":
        raise UnsuitableInstrumentError(variety.instrument)
    rng = np.random.default_rng([seed, _STREAM])
    therapists = variety.therapist_sd * rng.standard_normal(variety.therapists)
    clinic = _Clinic(population, variety, instrument, therapists)
    made = (_course(rng, clinic) for _ in range(clients))
    return [course for course in made if course is not None]


def _course(rng: Generator, clinic: _Clinic) -> Course | None:
    client = _client(rng, clinic)
    items = _items(rng, clinic, client)
    totals = [_total(clinic.instrument, answers) for answers in items]
    last, dropped_out = _stay(rng, clinic, totals, client.ruptures)
    rated = [session for session in range(last) if not _skips(rng, clinic, client, totals[session])]
    return _seen(client, totals, items, rated, dropped_out=dropped_out) if rated else None


def _client(rng: Generator, clinic: _Clinic) -> _Client:
    population, variety = clinic.population, clinic.variety
    sessions = min(population.longest, 2 + int(rng.negative_binomial(2, 0.2)))
    first, then = (int(each) for each in rng.integers(variety.therapists, size=2))
    moves = sessions // 2 if rng.random() < variety.transferred_share else sessions
    gaps = rng.choice(variety.gaps, size=sessions - 1)
    return _Client(
        level=population.mean + population.between_sd * float(rng.standard_normal()),
        spread=population.within_sd * float(np.exp(variety.spread * rng.standard_normal())),
        constant=bool(rng.random() < variety.constant_share),
        therapist=[first if session < moves else then for session in range(sessions)],
        day=[0, *np.cumsum(gaps).tolist()],
        ruptures=_ruptures(rng, population, variety, sessions),
    )


# ------------------------------------------------------------------ ruptures


def _ruptures(rng: Generator, population: Population, variety: Variety, sessions: int) -> Ruptures:
    made = Ruptures(sessions)
    session = 1
    while session < sessions:
        session += _rupture(rng, population, variety, made, session) if rng.random() < population.rupture_hazard else 1
    return made


def _rupture(rng: Generator, population: Population, variety: Variety, made: Ruptures, session: int) -> int:
    names, weights = zip(*variety.shapes, strict=True)
    shape = cast("Shape", str(rng.choice(names, p=np.array(weights) / sum(weights))))
    concealed = bool(rng.random() < population.concealed_share)
    points = _profile(rng, variety, shape) * (0.1 if concealed else 1.0)
    return made.write(session, shape, points, concealed=concealed)


def _profile(rng: Generator, variety: Variety, shape: Shape) -> Floats:
    """Points below the client's level, session by session."""
    factor = float(np.exp(variety.fall_spread * rng.standard_normal()))
    if shape == "slide":
        return variety.slide * factor * np.arange(1.0, rng.integers(3, 9) + 1)
    fall = variety.fall * factor
    if shape == "one-session":
        return np.array((fall,))
    if shape == "v":
        return fall * _FADING
    if shape == "lasting":
        return fall * np.append(1.0, np.full(_LASTS, 0.8))
    steps = int(rng.integers(2, 4))
    return fall * np.append(np.arange(1, steps) / steps, np.ones(_LASTS))


# ------------------------------------------------------------------ ratings


def _items(rng: Generator, clinic: _Clinic, client: _Client) -> list[tuple[float, ...]]:
    latent = _latent(rng, clinic, client)
    scales = [item.scale for item in clinic.instrument.items]
    low, high = scales[0].low, scales[0].high
    step = clinic.variety.item_step or scales[0].step
    noise = clinic.variety.item_noise * rng.standard_normal((latent.size, len(scales)))
    share = latent if clinic.instrument.rule == "mean" else latent / len(scales)
    answers = low + np.round((np.clip(share[:, None] + noise, low, high) - low) / step) * step
    if client.constant:
        answers[:] = high
    return [tuple(row) for row in answers.round(6).tolist()]


def _latent(rng: Generator, clinic: _Clinic, client: _Client) -> Floats:
    """Level, growth, therapist, rupture, and a state that is autocorrelated over weeks."""
    sessions = len(client.day)
    level = client.level + clinic.population.growth * np.log(np.arange(1, sessions + 1))
    level += clinic.therapists[client.therapist] + client.ruptures.effect
    noise = _noise(rng, clinic.variety, sessions)
    states, state = np.zeros(sessions), float(rng.standard_normal())
    for session in range(sessions):
        kept = _carried(clinic, client, session)
        state = kept * state + float(np.sqrt(1 - kept**2) * noise[session])
        states[session] = state
    return np.asarray(level + client.spread * states)


def _carried(clinic: _Clinic, client: _Client, session: int) -> float:
    """How much of the last session's state is left: less after a longer gap, nothing with another therapist."""
    if session == 0:
        return clinic.population.autocorrelation
    if client.therapist[session] != client.therapist[session - 1]:
        return 0.0
    weeks = (client.day[session] - client.day[session - 1]) / _WEEK
    return float(clinic.population.autocorrelation**weeks)


def _noise(rng: Generator, variety: Variety, sessions: int) -> Floats:
    if variety.tails is None:
        return rng.standard_normal(sessions)
    return np.asarray(rng.standard_t(variety.tails, sessions) / np.sqrt(variety.tails / (variety.tails - 2)))


def _total(instrument: Instrument, answers: tuple[float, ...]) -> float:
    total = sum(answers)
    return round(total / len(answers) if instrument.rule == "mean" else total, 6)


# ------------------------------------------------------------------ what is seen of it


def _stay(rng: Generator, clinic: _Clinic, totals: list[float], ruptures: Ruptures) -> tuple[int, bool]:
    """Appendix A's hazard, with points in fortieths of the scale and 36 and 37 at the clinic's own place for them."""
    unit = clinic.instrument.total.span / 40
    for session in range(len(totals) - 1):
        past = sum(totals[:session]) / session if session else clinic.population.mean - 2 * unit
        logit = (
            clinic.variety.leaving
            + 0.10 * max(0.0, clinic.population.mean - 3 * unit - totals[session]) / unit
            + 0.06 * max(0.0, past - totals[session]) / unit
            + 1.1 * bool(ruptures.active[session])
            + (0.5 if session < 2 else 0.0)
        )
        if rng.random() < 1 / (1 + np.exp(-logit)):
            return session + 1, True
    return len(totals), False


def _skips(rng: Generator, clinic: _Clinic, client: _Client, total: float) -> bool:
    """Whether the client left the form empty: by chance, and likelier when it would have been low."""
    variety = clinic.variety
    if not variety.unrated:
        return False
    below = max(0.0, min(client.level, clinic.instrument.total.high) - total)
    odds = variety.unrated / (1 - variety.unrated) * np.exp(variety.unrated_per_point * below)
    return bool(rng.random() < odds / (1 + odds))


def _seen(
    client: _Client, totals: list[float], items: list[tuple[float, ...]], rated: list[int], *, dropped_out: bool
) -> Course:
    """The rated sessions. A rupture begins where it is first rated; one that is never rated is not in the course."""
    made = client.ruptures
    begun = np.cumsum(made.onset) * made.active
    onset = [bool(begun[at]) and begun[at] not in begun[rated[:place]] for place, at in enumerate(rated)]
    return Course(
        totals=tuple(totals[at] for at in rated),
        items=tuple(items[at] for at in rated),
        ruptured=tuple(bool(made.active[at]) for at in rated),
        expressed=tuple(bool(made.expressed[at]) for at in rated),
        onset=tuple(onset),
        dropped_out=dropped_out,
        shape=tuple(made.shape[at] for at in rated),
        falling=tuple(bool(made.falling[at]) or begins for at, begins in zip(rated, onset, strict=True)),
        therapist=tuple(client.therapist[at] for at in rated),
        day=tuple(client.day[at] for at in rated),
    )
