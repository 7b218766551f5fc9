"""A caseload as files: its events as posted, and the truth as labels (`services.lab.backtest.labels`)."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from schemas.instruments import Instrument, lookup
from services.lab.backtest.labels import CourseLabel, RuptureLabel
from services.lab.caseload import Caseload, Label, Post


def write(made: Caseload, events: Path, labels: Path | None) -> None:
    """One JSON object a line."""
    with events.open("w", encoding="utf-8") as file:
        file.writelines(f"{json.dumps(post.event)}\n" for post in made.posts)
    if labels is not None:
        with labels.open("w", encoding="utf-8") as file:
            file.writelines(f"{label.model_dump_json(exclude_none=True)}\n" for label in labelled(made))


def labelled(made: Caseload) -> Iterator[CourseLabel]:
    """The truth per episode, over the sessions whose alliance was rated: what nobody rated cannot be labelled."""
    rated = _rated(made.posts)
    for label in made.labels:
        sessions = rated.get(label.episode, [])
        yield CourseLabel(
            client=label.client,
            episode=label.episode,
            sessions=len(sessions),
            ruptures=tuple(_ruptures(label, sessions)),
            dropped_out=label.dropped_out,
        )


def _rated(posts: Iterable[Post]) -> dict[str, list[int]]:
    """Of each episode: the attended sessions, from 0, whose alliance the client rated."""
    attended: defaultdict[str, set[str]] = defaultdict(set)
    rated: dict[str, tuple[str, str]] = {}
    for post in posts:
        event = post.event
        if event["type"] == "session.attended":
            attended[event["episode"]].add(event["session"])
        elif event["type"] == "rating.retracted":
            rated.pop(event["id"], None)
        elif event["type"] == "rating.submitted" and _alliance(event):
            rated[event["id"]] = (event["episode"], event["session"])
            attended[event["episode"]].add(event["session"])
    numbers = {episode: {session: at for at, session in enumerate(sorted(of))} for episode, of in attended.items()}
    found: defaultdict[str, list[int]] = defaultdict(list)
    for episode, session in rated.values():
        found[episode].append(numbers[episode][session])
    return {episode: sorted(set(sessions)) for episode, sessions in found.items()}


def _alliance(event: dict[str, Any]) -> bool:
    rating = event["rating"]
    instrument = lookup(rating["instrument"])
    return (
        isinstance(instrument, Instrument)
        and instrument.family == "alliance"
        and rating.get("rater", "client") == "client"
    )


def _ruptures(label: Label, rated: list[int]) -> Iterator[RuptureLabel]:
    """Each rupture, from the first to the last session of it that was rated."""
    onsets = [at for at, begins in enumerate(label.onset) if begins]
    for onset, following in pairwise([*onsets, len(label.active)]):
        lasts = next((at for at in range(onset, following) if not label.active[at]), following)
        places = [place for place, at in enumerate(rated, start=1) if onset <= at < lasts]
        if places:
            yield RuptureLabel(onset=places[0], end=places[-1], expressed=label.expressed[onset])
