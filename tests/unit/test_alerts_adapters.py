"""What alerts reads back of a reading is what the contract said of it."""

from __future__ import annotations

import re

from sqlalchemy import TextClause

from schemas import codec
from schemas.events import Reading
from schemas.topics import ALLIANCE_SCORES
from services.alerts.adapters import statements, told
from services.alerts.adapters.contracts import rated_of
from tests.scoring_facts import Bench, as_record, caseload


def test_both_ways_give_a_decision_the_same() -> None:
    """Every reading of a caseload, by the contract and as it is read back: equal ratings to decide on."""
    bench = Bench()
    bench.take([as_record(fact) for fact in caseload(seed=41, clients=5, sessions=12)])
    values = [record.value for record in bench.said if record.value is not None]
    readings = [said for value in values if isinstance(said := codec.decode(ALLIANCE_SCORES, value), Reading)]
    assert len(readings) > 40
    for reading in readings:
        assert rated_of(told.decode(reading.model_dump_json())) == rated_of(reading)
        assert rated_of(reading) is not None


PARTS = re.compile(r"\b(?:select|insert into|update|delete from)\b")


def test_no_statement_of_a_batch_joins_two_tables() -> None:
    """One table in each part of each, so that no plan can be quadratic.

    In a young installation, before PostgreSQL has statistics, a join of alerts with their steps was planned as a look
    through the clinic's whole table for every alert: seconds a batch, from a few thousand alerts on.
    """
    texts = {name: str(each.text) for name, each in vars(statements).items() if isinstance(each, TextClause)}
    assert len(texts) > 15
    named = {
        name: [set(re.findall(r"\balerts\.\w+", part)) for part in PARTS.split(text)] for name, text in texts.items()
    }
    assert {name for name, parts in named.items() if any(len(tables) > 1 for tables in parts)} == set()
    assert {name for name, parts in named.items() if not any(parts)} == set()
