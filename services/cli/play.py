"""The demo's year: made from a seed, posted through the HTTP door, remembered so that it is played once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from itertools import groupby
from pathlib import Path

from services.cli.door import Door
from services.cli.tally import Tally
from services.lab.caseload import Post

SEED = 7
MOST = 2_000
"""Events a request."""
SINGLE = 50
"""The last events of the year go one by one, as a clinic's own system would post them."""
PATIENCE = 120.0
"""Seconds without any progress."""
PAUSE = 0.25


@dataclass(frozen=True, slots=True)
class Played:
    """What was begun in this home. `done` counts events that are known to be in."""

    tenant: str
    ends_at: str
    seed: int = SEED
    done: int = 0
    complete: bool = False

    @property
    def end(self) -> datetime:
        return datetime.fromisoformat(self.ends_at)


def recall(path: Path) -> Played | None:
    """What was begun here, if anything was."""
    try:
        return Played(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def remember(path: Path, played: Played) -> None:
    """Write it down as a whole."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(asdict(played), indent=2) + "\n", encoding="utf-8")
    part.replace(path)


def requests(posts: Iterable[Post], most: int = MOST) -> Iterator[list[Post]]:
    """Posts of one clock together, in order, no request larger than `most`."""
    for _, same in groupby(posts, key=lambda post: post.clock):
        group = list(same)
        yield from (group[at : at + most] for at in range(0, len(group), most))


async def play(door: Door, posts: tuple[Post, ...], played: Played, progress: Callable[[Played], None]) -> Tally:
    """Post what is not in yet; `progress` is told after every request.

    Raises:
        AttuneError: the door does not take it.
    """
    tally = Tally()
    rest, last = posts[played.done : -SINGLE], posts[max(played.done, len(posts) - SINGLE) :]
    for request in requests(rest):
        answers = await door.post_batch([_body(post) for post in request], request[0].clock)
        for line, answer in enumerate(answers, start=played.done + 1):
            tally.take(line, answer)
        played = replace(played, done=played.done + len(request))
        progress(played)
    for post in last:
        tally.take(played.done + 1, await door.post_one(_body(post), post.clock))
        played = replace(played, done=played.done + 1)
        progress(played)
    return tally


def _body(post: Post) -> bytes:
    return json.dumps(post.event, separators=(",", ":")).encode()


async def settle(count: Callable[[], Awaitable[int]], total: int, told: Callable[[int], None]) -> bool:
    """Wait until the count is reached; False where it has not moved for as long as our patience lasts."""
    loop = asyncio.get_running_loop()
    last, moved = -1, loop.time()
    while loop.time() - moved < PATIENCE:
        reached = await count()
        told(reached)
        if reached >= total:
            return True
        if reached != last:
            last, moved = reached, loop.time()
        await asyncio.sleep(PAUSE)
    return False
