"""The settings page lists every setting there is, with its default and meaning."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic.fields import FieldInfo

from services.alerts.settings import AlertsSettings
from services.ingest.settings import IngestSettings, RelaySettings
from services.local.settings import LocalSettings
from services.platform.settings import Settings
from services.scoring.settings import ScoringSettings

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
SERVICES = (IngestSettings, RelaySettings, ScoringSettings, AlertsSettings)


def table() -> Iterator[str]:
    """The rows that the page must have."""
    for name, field in Settings.model_fields.items():
        yield _row("every service", name, field)
    for service in SERVICES:
        own = {name: field for name, field in service.model_fields.items() if _own(service, name)}
        for name, field in own.items():
            yield _row(service.__name__.removesuffix("Settings").lower(), name, field)
    for name, field in LocalSettings.model_fields.items():
        yield _row("the local stack", name, field)


def _own(service: type[Settings], name: str) -> bool:
    shared = Settings.model_fields.get(name)
    return shared is None or shared.default != service.model_fields[name].default


def _row(of: str, name: str, field: FieldInfo) -> str:
    alias = field.validation_alias or field.alias
    variable = alias if isinstance(alias, str) else f"ATTUNE_{name.upper()}"
    plain = isinstance(field.default, str | int | float | Path)
    default = str(field.default) if plain else ""
    return f"| {of} | `{variable}` | {default} | {field.description or ''} |"


def test_every_setting_is_on_the_page() -> None:
    """The page's table is the settings' own."""
    told = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ") and "`" in line]
    assert told == list(table())
