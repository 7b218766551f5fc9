"""One site for a module of tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.browser.site import Site, served
from tests.stack import Database


@pytest.fixture(scope="module")
async def site(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """The clinician's pages with two clinics' stories in them."""
    async with served(module_database, tmp_path_factory.mktemp("secrets")) as running:
        yield running
