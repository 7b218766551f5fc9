"""A clinician's morning in a real browser: sign in, look, acknowledge, resolve."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Error, Page, expect

from tests.browser.chromium import Watched, started
from tests.browser.site import Site
from tests.browser.stories import COLLEAGUES, DRIFT, MARKUP, NORTHSIDE, RISK, RUPTURE

pytestmark = pytest.mark.browser
PHONE = {"width": 390, "height": 844}
PIXELS = """canvas => {
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  const colours = new Set();
  for (let at = 0; at < data.length; at += 4) if (data[at + 3] > 200) colours.add(data.slice(at, at + 3).join());
  return colours.size;
}"""


@pytest.fixture(scope="module")
async def chromium() -> AsyncIterator[Browser]:
    try:
        async with started() as browser:
            yield browser
    except Error as error:
        pytest.skip(f"no browser here: apt-get install chromium, or playwright install chromium ({error.message[:80]})")


@pytest.fixture
async def watched(chromium: Browser, site: Site) -> AsyncIterator[Watched]:
    """A page; whatever it complains of, or asks of others, fails the test."""
    context = await chromium.new_context(base_url=site.origin)
    visit = Watched(await context.new_page(), site.origin)
    visit.begin()
    yield visit
    await context.close()
    assert (visit.complaints, visit.elsewhere) == ([], [])


async def sign_in(page: Page, name: str, clinic: str = "Northside") -> None:
    await page.goto("/")
    section = page.locator("section", has_text=clinic)
    await section.get_by_label("View as").select_option(label=name)
    await section.get_by_role("button", name="Sign in").click()
    await expect(page.locator(".who-name")).to_be_visible()


async def test_from_the_caseload_to_a_resolved_alert(watched: Watched) -> None:
    """What waits stands first with its reason; acknowledged and resolved, it leaves the open list and is history."""
    page = watched.page
    await sign_in(page, RUPTURE.clinician)
    rows = page.locator("tr.case")
    await expect(rows.nth(0)).to_contain_text(RISK.reference)
    await expect(rows.nth(1)).to_contain_text(RUPTURE.reference)
    await expect(rows.nth(1)).to_contain_text("below this client's usual")

    await page.get_by_role("link", name=RUPTURE.reference).click()
    await expect(page).to_have_url(re.compile(f"/clients/{RUPTURE.client_id}$"))
    card = page.locator("article.card")
    await card.get_by_text("Why this was flagged").click()
    await expect(card).to_contain_text("fic-default-1")
    await card.get_by_role("button", name="Acknowledge").click()
    await expect(card).to_contain_text("Acknowledged")
    await card.get_by_label("Reason to resolve").select_option(index=1)
    await card.get_by_role("button", name="Resolve").click()
    await expect(page.locator("article.card")).to_have_count(0)
    await expect(page.locator("article.past").first).to_contain_text("resolved")

    await page.get_by_role("link", name="Caseload").click()
    await page.get_by_role("link", name="To look at").click()
    await expect(rows.filter(has_text=DRIFT.reference)).to_have_count(1)
    await expect(rows.filter(has_text=RUPTURE.reference)).to_have_count(0)


async def test_the_chart_draws_on_either_scale(watched: Watched) -> None:
    """Every rating is there, its canvas has ink, and the table below says the same in words."""
    page = watched.page
    await sign_in(page, RUPTURE.clinician)
    await page.goto(f"/clients/{RUPTURE.client_id}")
    plot = page.locator('.plot[data-panel="srs-3-client"]')
    await expect(plot).to_have_attribute("data-drawn", "9")
    assert await plot.locator("canvas").evaluate(PIXELS) > 8
    await page.get_by_text("0-100", exact=True).click(force=True)
    await expect(page.get_by_text("100 is the good end").first).to_be_visible()
    assert await plot.locator("canvas").evaluate(PIXELS) > 8
    await page.get_by_text("The numbers").first.click()
    await expect(page.locator(".numbers tbody tr").first).to_contain_text("33.1")


async def test_how_likely_a_client_is_to_leave_is_told_with_its_reason(watched: Watched) -> None:
    """A chance, as of when, and what adds to it; where a clinic has no model of its own, nothing is said."""
    page = watched.page
    await sign_in(page, DRIFT.clinician)
    await page.goto(f"/clients/{DRIFT.client_id}")
    told = page.get_by_text("about 31 in 100 of this clinic's earlier clients left within three sessions")
    await expect(told).to_contain_text("a rating below this client's usual and earlier signs of a strain")
    await page.goto(f"/clients/{RUPTURE.client_id}")
    await expect(page.get_by_text("left within three sessions")).to_have_count(0)


async def test_nobody_sees_a_colleagues_client(watched: Watched) -> None:
    """For another clinician the client is not in the list, not found by reference, and the page is not there."""
    page = watched.page
    await sign_in(page, COLLEAGUES.clinician)
    await expect(page.locator("tr.case")).to_have_count(
        len([s for s in NORTHSIDE if s.clinician == COLLEAGUES.clinician])
    )
    await page.get_by_label("Exact client reference").fill(RUPTURE.reference)
    await page.get_by_role("button", name="Open").click()
    await expect(page.get_by_role("status")).to_contain_text("No client with exactly this reference")
    assert RUPTURE.reference not in page.url
    answer = await page.request.get(f"/clients/{RUPTURE.client_id}")
    assert answer.status == 404


async def test_a_reference_is_found_exactly(watched: Watched) -> None:
    """The clinic's own reference opens the client's page and never stands in an address."""
    page = watched.page
    await sign_in(page, RUPTURE.clinician)
    await page.get_by_label("Exact client reference").fill(DRIFT.reference)
    await page.get_by_role("button", name="Open").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(DRIFT.reference)
    assert page.url.endswith(f"/clients/{DRIFT.client_id}")


async def test_markup_in_a_reference_is_only_text(watched: Watched) -> None:
    """A reference may contain anything; the page prints it."""
    page = watched.page
    await sign_in(page, MARKUP.clinician)
    await page.get_by_role("link", name=MARKUP.reference).click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(MARKUP.reference)


async def test_the_pages_fit_a_phone(watched: Watched) -> None:
    """Nothing has to be scrolled sideways."""
    page = watched.page
    await page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
    await sign_in(page, RUPTURE.clinician)
    for path in ("/", f"/clients/{RUPTURE.client_id}"):
        await page.goto(path)
        assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


async def test_signed_out_is_signed_out(watched: Watched) -> None:
    """After leaving, the pages lead to the sign-in again."""
    page = watched.page
    await sign_in(page, RUPTURE.clinician)
    await page.get_by_role("button", name="Sign out").click()
    await page.goto(f"/clients/{RUPTURE.client_id}")
    await expect(page).to_have_url(re.compile("/login$"))
