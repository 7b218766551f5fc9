"""A clinic whose records are as odd as the contract allows: every measure, any order, corrected and taken back."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.instruments import Instrument, catalogue

Event = dict[str, Any]
_BEGIN = timedelta(weeks=170)
_EVERY = (timedelta(days=7), timedelta(days=3), timedelta(0), timedelta(days=45))


def odd_clinic(seed: int, clients: int) -> list[Event]:
    """What such a clinic posts, in an order of its own: a correction may come before what it corrects."""
    rng = random.Random(seed)
    posts = [event for client in range(clients) for event in _client(rng, f"O-{client}")]
    rng.shuffle(posts)
    return posts


def _client(rng: random.Random, client: str) -> Iterator[Event]:
    at = datetime.now(UTC).replace(microsecond=0) - _BEGIN
    forms = rng.sample(catalogue(), rng.randint(1, 4))
    for course in range(rng.randint(1, 2)):
        episode = {"episode": f"{client}/{course}"} if rng.random() < 0.7 else {}
        whose = {"client": client, "clinician": f"T-{rng.randint(1, 5)}", **episode}
        if rng.random() < 0.6:
            yield _event("episode.opened", f"{client}-o{course}", at, whose)
        every = rng.choice(_EVERY)
        for session in range(rng.randint(1, 12)):
            at += every
            yield from _session(rng, f"{client}-{course}-{session}", at, whose, forms)
        if rng.random() < 0.3:
            yield _event("episode.transferred", f"{client}-t{course}", at, {**whose, "clinician": "T-9"})
        if rng.random() < 0.5:
            at += timedelta(days=rng.randint(0, 30))
            yield _event("episode.closed", f"{client}-c{course}", at, whose, reason=rng.choice(["completed", "other"]))


def _session(rng: random.Random, name: str, at: datetime, whose: Event, forms: list[Instrument]) -> Iterator[Event]:
    session = {**whose, "session": name}
    kinds = rng.choices(["session.attended", "session.missed", "session.cancelled", "session.booked"], [8, 1, 1, 1])
    for version, kind in enumerate(kinds * rng.randint(1, 2), start=1):
        more = {"starts_at": at.isoformat()} if kind == "session.booked" else {}
        yield _event(kind, f"{name}-s", at, session, version=version, **more)
    for form in forms:
        if rng.random() < 0.8:
            whom = session if rng.random() < 0.9 else whose
            yield from _rating(rng, f"{name}-{form.key}", at, whom, form)


def _rating(rng: random.Random, name: str, at: datetime, whose: Event, form: Instrument) -> Iterator[Event]:
    last = rng.choice([1, 1, 1, 1, 2, 3])
    for version in range(1, last + 1):
        if version > 1 and rng.random() < 0.2:
            yield _event("rating.retracted", name, at, whose, version=version)
        else:
            kind = "rating.submitted" if version == 1 else "rating.amended"
            yield _event(kind, name, at, whose, version=version, rating=_filled(rng, form))


def _filled(rng: random.Random, form: Instrument) -> Event:
    filled: Event = {"instrument": form.key, "rater": rng.choice(form.raters)}
    answers: dict[str, float | None] = {}
    for item in form.items:
        steps = round((item.scale.high - item.scale.low) / item.scale.step)
        answers[item.code] = round(item.scale.low + rng.choice([0, steps, rng.randint(0, steps)]) * item.scale.step, 6)
        if rng.random() < 0.03:
            answers[item.code] = None
    return {**filled, "items": answers}


def _event(kind: str, name: str, at: datetime, whose: Event, **more: Any) -> Event:  # noqa: ANN401 - any field of an event
    return {"type": kind, "id": name, "occurred_at": at.isoformat(), **whose, **more}
