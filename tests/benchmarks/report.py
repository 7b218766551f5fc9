"""docs/benchmarks.md from what was measured; what a person found in the profiles stays where it was written."""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks import figure, scaling
from tests.benchmarks.harness import RESULTS, Row, kept

PAGE = Path("docs/benchmarks.md")
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def write() -> None:
    """Put the table between its marks, and draw what is kept of the scaling runs."""
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{_markdown()}\n{END}{after}", encoding="utf-8")
    if (points := RESULTS / scaling.POINTS).exists():
        figure.draw(points)


def _markdown() -> str:
    lines = ["| step | beside | ours | beside it | ratio | aim | reached |", "|---|---|---|---|---|---|---|"]
    results = kept()
    rows = [Row(**{name: each[name] for name in Row.__dataclass_fields__}) for each in results.values()]
    lines += [f"| {' | '.join(cells(row))} |" for row in rows]
    machines = {(each["cores"], each["processor"], each["python"], each["date"]) for each in results.values()}
    where = [f"{cores} cores, {model}, Python {python}, {date}" for cores, model, python, date in sorted(machines)]
    return "\n".join([*lines, "", f"Measured on: {'; '.join(where)}."])


def cells(row: Row) -> list[str]:
    """A row for people."""
    own = f"{row.ours:,.0f} {row.unit}" + (f" ({row.note})" if row.note else "")
    peer = f"{row.peer:,.0f} {row.unit}" if row.peer is not None else "-"
    ratio = f"{row.ratio:.2f}" if row.ratio is not None else "-"
    reached = {True: "yes", False: "no", None: "-"}[row.reached]
    return [row.step, row.beside, own, peer, ratio, row.aim, reached]
