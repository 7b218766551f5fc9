"""A file's lines, gzipped or not, and how far into it they are."""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, cast

from services.platform.errors import AttuneError

_GZIP: Final = b"\x1f\x8b"
_TELL_EVERY: Final = 512
"""Lines from one telling of how far to the next."""


class UnreadableFile(AttuneError):
    """The file is not there, is cut short, or is of another kind altogether."""


def lines(path: Path, told: Callable[[int], None] = lambda _: None) -> Iterator[tuple[int, bytes]]:
    """Each line that is not blank, with its number, from 1; `told` of the file's bytes as they are read.

    Raises:
        UnreadableFile: see there.
    """
    try:
        with path.open("rb") as raw:
            before = 0
            for number, line in enumerate(_unpacked(path, raw), start=1):
                if text := line.strip():
                    yield number, text
                if not number % _TELL_EVERY:
                    told(raw.tell() - before)
                    before = raw.tell()
            told(raw.tell() - before)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise UnreadableFile(f"{path} is cut short, or no gzip after all", hint="gzip --test says the same") from None
    except OSError as error:
        raise UnreadableFile(f"{path} cannot be read: {error.strerror}", hint="check its name") from None


def _unpacked(path: Path, raw: BinaryIO) -> Iterator[bytes]:
    """Known by its first bytes, not by its name; a byte order mark says nothing."""
    packed = raw.peek(2)[:2] == _GZIP  # type: ignore[attr-defined]  # buffered, as `open` gives it
    source = cast("BinaryIO", gzip.GzipFile(fileobj=raw)) if packed else raw
    first = source.readline().removeprefix(codecs.BOM_UTF8)
    if first.strip() == b"[" or first.startswith(b"[{"):
        raise UnreadableFile(
            f"{path} is one JSON array, not a line for each", hint="jq -c '.[]' FILE makes lines of it"
        )
    yield first
    yield from source
