"""`python -m services.scoring`: one scoring worker."""

from __future__ import annotations

import os

from services.platform import logs, process
from services.scoring.settings import ScoringSettings


def main() -> None:
    """Read the settings and work until SIGTERM."""
    # A worker has one core: numpy would share each small product among threads, and wait for them.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from services.scoring import worker  # noqa: PLC0415 - numpy asks for it once, as it is imported

    settings = ScoringSettings()
    logs.configure("scoring", settings.log_level)
    process.run(lambda stop: worker.run(settings, stop))


if __name__ == "__main__":
    main()
