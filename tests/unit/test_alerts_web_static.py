"""What the pages load is ours, served from here, and unchanged."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

WEB = Path(__file__).parents[2] / "services/alerts/web"
UPLOT = WEB / "static/vendor/uplot-1.6.32"
HASHES = {
    "uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    "LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
}
TEMPLATES = sorted((WEB / "templates").glob("*.html"))


@pytest.mark.parametrize("name", HASHES)
def test_the_chart_library_is_the_published_one(name: str) -> None:
    """The vendored files are byte for byte those of the npm package."""
    assert hashlib.sha256((UPLOT / name).read_bytes()).hexdigest() == HASHES[name]
    assert HASHES[name] in (UPLOT / "README.md").read_text()


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_pages_carry_no_inline_code_and_fetch_nothing_from_elsewhere(template: Path) -> None:
    """The content security policy would refuse both; here it fails before a browser has to."""
    text = template.read_text()
    assert not re.search(r"\sstyle=|\son[a-z]+=|<style|https?://|\|\s*safe", text)
    assert not re.search(r"<script(?![^>]*(?:src=|type=\"application/json\"))", text)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_every_posted_form_carries_the_token(template: Path) -> None:
    """A form without the token would never be accepted."""
    forms = re.findall(r"<form[^>]*method=\"post\".*?</form>", template.read_text(), re.DOTALL)
    assert all('name="csrf"' in form for form in forms)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(scheme: str) -> None:
    """Text and badge colours meet WCAG AA (4.5 to 1) on every surface they stand on."""
    colours = _colours(scheme)
    grounds = [(ink, ground) for ink in ("ink", "ink-soft") for ground in ("page", "surface", "sunken")]
    grounds += [(tone, f"{tone}-wash") for tone in ("risk", "red", "amber", "info", "accent")]
    grounds += [("accent", "surface"), ("accent", "page"), ("accent-ink", "accent"), ("ink", "info-wash")]
    assert [(a, b) for a, b in grounds if _contrast(colours[a], colours[b]) < 4.5] == []


def _colours(scheme: str) -> dict[str, str]:
    light, dark = (WEB / "static/attune.css").read_text().split("@media (prefers-color-scheme: dark)")
    found = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", light))
    return found if scheme == "light" else found | dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", dark))


def _contrast(one: str, other: str) -> float:
    bright, dim = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
