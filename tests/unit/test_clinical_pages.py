"""The clinical pages say what the code does: their examples run, their links lead somewhere, nothing is left out."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

from services.lab import worked
from services.scoring.domain.detectors import DETECTORS

FOLDER = Path(__file__).parents[2] / "docs" / "clinical"
PAGES = sorted(FOLDER.glob("*.md"))
INDEX = FOLDER / "detectors.md"
EXAMPLE = re.compile(r"^```(?:pycon|python)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)[^)]*\)")
PARTS = ("## Constants", "## Known limits", "## Worked example")
OTHERS = ("attendance", "data-quality", "discrepancy", "escalation", "level", "repair", "risk-items")
"""Those that follow no series of ratings."""
EVERY_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def examples(page: Path) -> str:
    return "\n".join(EXAMPLE.findall(page.read_text("utf-8")))


@pytest.mark.parametrize("page", [page for page in PAGES if examples(page)], ids=lambda page: page.stem)
def test_the_worked_examples_give_what_they_print(page: Path) -> None:
    """Every line after `>>>` of a page is run; what it prints stands below it."""
    test = doctest.DocTestParser().get_doctest(examples(page), {}, page.name, str(page), 0)
    said: list[str] = []
    doctest.DocTestRunner().run(test, out=said.append)
    assert said == []


@EVERY_PAGE
def test_links_lead_somewhere(page: Path) -> None:
    """A page that another names is there."""
    named = LINK.findall(page.read_text("utf-8"))
    assert [name for name in named if not (page.parent / name).exists()] == []


@pytest.mark.parametrize("page", sorted({*(each.page for each in DETECTORS), *OTHERS}))
def test_a_detectors_page_has_its_parts(page: str) -> None:
    """Constants, known limits and a worked example, for each detector there is."""
    text = (FOLDER / f"{page}.md").read_text("utf-8")
    assert [part for part in PARTS if part not in text] == []


def test_the_index_names_every_page_of_a_detector() -> None:
    """And the pages on limits of all of them, intended use and licences."""
    linked = {Path(name).stem for name in LINK.findall(INDEX.read_text("utf-8"))}
    wanted = {*(each.page for each in DETECTORS), *OTHERS, "what-no-rating-can-see", "intended-use", "licences"}
    assert wanted - linked == set()


def test_the_pages_say_what_the_product_is_not() -> None:
    """The one sentence that has to stand wherever somebody might rely on silence."""
    for name in ("intended-use", "what-no-rating-can-see"):
        assert "No alert never means no rupture" in (FOLDER / f"{name}.md").read_text("utf-8")


def test_the_worked_course_is_drawn_as_the_code_sees_it(tmp_path: Path) -> None:
    """Every figure is on its page, small, and byte for byte what `python -m services.lab worked` draws today."""
    drawn = worked.draw(tmp_path)
    assert [path.stem for path in drawn] == [f"worked-{page}" for page in worked.PAGES]
    for page, path in zip(worked.PAGES, drawn, strict=True):
        assert f"(../figures/{path.name})" in (FOLDER / f"{page}.md").read_text("utf-8")
        assert path.read_bytes() == (FOLDER.parent / "figures" / path.name).read_bytes(), path.name
        assert path.stat().st_size < 60_000
