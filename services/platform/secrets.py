"""Secrets: files in one folder, read when needed, never in a variable, a log or a repr."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Literal

from services.platform.errors import ConfigurationError

SecretName = Literal["vault-key", "blind-index-key", "session-key", "kafka-password", "database-password"]
MIN_KEY_BYTES = 32
DEFAULTS = frozenset({b"changeme" * 4, b"\x00" * MIN_KEY_BYTES, b"attune" * 6})
"""Keys that stand in examples; nobody may run on them."""


def read_text(folder: Path, name: SecretName) -> str | None:
    """The secret as text, or `None` where the file does not exist."""
    path = folder / name
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(f"secret {name} cannot be read: {error.strerror}", hint=f"check {path}") from None


def read_key(folder: Path, name: SecretName) -> bytes:
    """A key of at least 32 bytes, stored as base64.

    Raises:
        ConfigurationError: missing, not base64, too short, or one of the known default keys.
    """
    text = read_text(folder, name)
    if text is None:
        raise ConfigurationError(
            f"secret {name} is missing in {folder}", hint=f"write 32 random bytes as base64 to {folder / name}"
        )
    key = _from_base64(name, text)
    if len(key) < MIN_KEY_BYTES or key in DEFAULTS or len(set(key)) < 8:
        raise ConfigurationError(f"secret {name} is a default or too weak", hint="use 32 random bytes")
    return key


def _from_base64(name: SecretName, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ConfigurationError(f"secret {name} is not base64", hint="use 32 random bytes as base64") from None
