"""Finding a Chromium, and watching what a page does that it should not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from playwright.async_api import Browser, ConsoleMessage, Error, Page, Request, async_playwright

from services.local.browser import installed

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@asynccontextmanager
async def started() -> AsyncIterator[Browser]:
    """A browser of the run's own, this machine's or else the one Playwright brought along.

    Raises:
        Error: there is none.
    """
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=installed(), args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            await browser.close()


@dataclass  # Playwright writes on the object it calls back, so no slots
class Watched:
    """A page, and everything about it that would be a fault."""

    page: Page
    origin: str
    complaints: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    def begin(self) -> None:
        self.page.on("console", self._said)
        self.page.on("pageerror", self._broke)
        self.page.on("request", self._asked)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _broke(self, error: Error) -> None:
        self.complaints.append(str(error))

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self.origin, "data:")):
            self.elsewhere.append(request.url)
