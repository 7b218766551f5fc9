"""`python -m services.local`: bring along what the stack needs, and say how far it is."""

from __future__ import annotations

import sys

from rich.console import Console

from services.local.progress import Bars
from services.local.settings import LocalSettings
from services.local.setup import ensure
from services.platform.errors import AttuneError


def main() -> int:
    console = Console(stderr=True)
    try:
        with Bars(console) as bars:
            ensure(LocalSettings(), bars)
    except AttuneError as error:
        sys.stderr.write(f"{error} ({error.hint})\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
