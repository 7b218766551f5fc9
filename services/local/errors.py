"""What can go wrong on one machine.

AttuneError
├── Unavailable
│   ├── DownloadFailed    a repository does not answer, or not with the file
│   └── ChildFailed       a process ended, or did not become ready in time
└── Refused
    ├── WrongHash         a file is not the one that was pinned; it is not used
    └── HomeInUse         another copy holds the folder
"""

from __future__ import annotations

from services.platform.errors import Refused, Unavailable


class DownloadFailed(Unavailable):
    """A repository does not answer, or not with the file."""


class ChildFailed(Unavailable):
    """A process ended, or did not become ready in time."""


class WrongHash(Refused):
    """A file is not the one that was pinned; it is not used."""


class HomeInUse(Refused):
    """Another copy holds the folder."""
