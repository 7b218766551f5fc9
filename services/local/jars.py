"""Kafka's jars: pinned by coordinates and SHA-256, fetched into a cache, checked before Java sees them."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import httpx

from services.local.errors import DownloadFailed, WrongHash
from services.local.progress import Steps
from services.local.settings import LocalSettings

PINS = Path(__file__).with_name("kafka_jars.json")
THREADS = 8
BLOCK = 1 << 16
STEP = "Kafka (45 MB)"


@dataclass(frozen=True, slots=True)
class Jar:
    """One pinned file of a Maven repository."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"

    @property
    def path(self) -> str:
        """Below the repository's address.

        >>> Jar("org.slf4j", "slf4j-api", "1.7.36", "").path
        'org/slf4j/slf4j-api/1.7.36/slf4j-api-1.7.36.jar'
        """
        return f"{self.group.replace('.', '/')}/{self.artifact}/{self.version}/{self.name}"


def pinned(pins: Path = PINS) -> tuple[Jar, ...]:
    return tuple(Jar(*entry) for entry in json.loads(pins.read_text(encoding="utf-8")))


def repository(settings: LocalSettings, user_home: Path) -> str:
    """The setting, else the mirror in the user's Maven settings, else the address that jgo knows."""
    from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415 - of the extra `local`; `attune` runs without it

    found = settings.maven_repository or _maven_mirror(user_home / ".m2" / "settings.xml") or MAVEN_CENTRAL_URL
    return str(found).rstrip("/")


def _maven_mirror(file: Path) -> str | None:
    try:
        root = ET.parse(file).getroot()  # noqa: S314 - the user's own file, which Maven trusts as well
    except (OSError, ET.ParseError):
        return None
    url = root.find("{*}mirrors/{*}mirror/{*}url")
    return url.text.strip() if url is not None and url.text else None


def fetch(jars: tuple[Jar, ...], source: str, cache: Path, steps: Steps) -> tuple[Path, ...]:
    """The jars' paths in the cache; what is missing or not as pinned is fetched, what is there stays.

    Raises:
        DownloadFailed: the repository does not answer, or not with the file.
        WrongHash: it answered with another file than the pinned one.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(THREADS) as pool:
        sound = list(pool.map(lambda jar: _is_sound(cache / jar.name, jar), jars))
    missing = [jar for jar, good in zip(jars, sound, strict=True) if not good]
    if missing:
        _fetch_all(missing, source, cache, steps)
    return tuple(cache / jar.name for jar in jars)


def _fetch_all(missing: list[Jar], source: str, cache: Path, steps: Steps) -> None:
    steps.begin(STEP)
    lock = threading.Lock()

    def count(size: int) -> None:
        with lock:
            steps.advance(STEP, size)

    with httpx.Client(follow_redirects=True, timeout=30.0) as client, ThreadPoolExecutor(THREADS) as pool:
        work = [pool.submit(_fetch_one, client, f"{source}/{jar.path}", jar, cache, count) for jar in missing]
        try:
            for job in work:
                job.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    steps.done(STEP)


def _fetch_one(client: httpx.Client, url: str, jar: Jar, cache: Path, count: Callable[[int], None]) -> None:
    part = cache / f"{jar.name}.part"
    try:
        with client.stream("GET", url) as answer, part.open("wb") as file:
            answer.raise_for_status()
            for block in answer.iter_bytes(BLOCK):
                file.write(block)
                count(len(block))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _not_fetched(url, error) from error
    if not _is_sound(part, jar):
        raise WrongHash(
            f"{url} is not the pinned file: its SHA-256 differs",
            hint="it was not used; check the repository or mirror, then run `attune setup` again",
        )
    part.replace(cache / jar.name)


def _not_fetched(url: str, error: Exception) -> DownloadFailed:
    status = error.response.status_code if isinstance(error, httpx.HTTPStatusError) else type(error).__name__
    return DownloadFailed(
        f"could not fetch {url}: {status}",
        hint="check the network, or set ATTUNE_MAVEN_REPOSITORY to a mirror; what is there is kept",
    )


def _is_sound(path: Path, jar: Jar) -> bool:
    if not path.exists():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == jar.sha256
