"""`python -m services.scoring`: one scoring worker."""

from __future__ import annotations

from services.platform import logs, process
from services.scoring import worker
from services.scoring.settings import ScoringSettings


def main() -> None:
    """Read the settings and work until SIGTERM."""
    settings = ScoringSettings()
    logs.configure("scoring", settings.log_level)
    process.run(lambda stop: worker.run(settings, stop))


if __name__ == "__main__":
    main()
