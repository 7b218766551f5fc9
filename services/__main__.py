"""`attune`, or `python -m services`: the operator's commands. The only reader of the environment."""

from __future__ import annotations

import os
import sys

from services.cli.app import run
from services.cli.invocation import Invocation


def main() -> None:
    """Run the command on the process's arguments."""
    sys.exit(run(sys.argv[1:], Invocation(dict(os.environ))))


if __name__ == "__main__":
    main()
