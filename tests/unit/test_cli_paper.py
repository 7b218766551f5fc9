"""What commands print can be copied into the next one."""

from __future__ import annotations

import io

import pytest

from services.cli.paper import Paper, table

ID = "f7c0157f-d12f-418a-9173-0a96e00fb80c"


@pytest.mark.parametrize("width", [60, 80, 200])
def test_ids_are_whole_and_nothing_is_cut(width: int) -> None:
    """In a narrow window ids stay on one line, and everything else is folded, not dropped."""
    paper = Paper(file=io.StringIO(), width=width)
    rows = table("id", "reason")
    rows.add_row(ID, "expected " + "one_of_many" * 9)
    paper.print(rows)
    told = paper.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO of above
    assert ID in told, "the id was cut"
    body = told.split("\n", 1)[1]
    assert body.count("o") == ("one_of_many" * 9).count("o"), "the reason was cut"


def test_lines_are_never_broken() -> None:
    """A path or a command that is longer than the window stays on its line."""
    paper = Paper(file=io.StringIO(), width=40)
    paper.print(f"next: attune fit publish {'a' * 60}.json --tenant north-clinic", highlight=False)
    assert paper.file.getvalue().count("\n") == 1  # type: ignore[attr-defined]  # it is the StringIO of above
