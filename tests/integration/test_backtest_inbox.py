"""A backtest straight from a clinic's inbox."""

from __future__ import annotations

import json
from pathlib import Path

from services.cli.named import policy_of
from services.lab.backtest.findings import findings
from services.lab.backtest.run import Request, backtest
from tests.recovery_road import SmallRoad
from tests.whole_road import ratings

POLICY = "openfit-compatible-1"


async def test_the_inbox_gives_what_the_file_of_its_events_gives(road: SmallRoad, tmp_path: Path) -> None:
    """Surrogates instead of references, facts instead of posts: the same alerts."""
    events = ratings(5, 9)
    await road.post(events)
    text = await road.attune("backtest", "--tenant", road.name, "--policy", POLICY, "--json", "--cores", "1")
    said, _ = json.JSONDecoder().raw_decode(text)
    file = tmp_path / "events.ndjson"
    file.write_text("".join(f"{json.dumps(event)}\n" for event in events))
    told = findings(backtest(Request(file, (policy_of(POLICY),), {}), lambda _: None), (POLICY,), 1.0)
    assert said["record"] == told["record"]
    assert said["policies"][POLICY]["by_rule"]["openfit"] == told["policies"][POLICY]["by_rule"]["openfit"] > 0
