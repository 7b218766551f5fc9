"""Kafka's jars come as pinned or not at all. The repository is a real one, on a loopback port."""

from __future__ import annotations

import functools
import hashlib
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from services.local.errors import DownloadFailed, WrongHash
from services.local.jars import Jar, fetch, pinned, repository
from services.local.ports import choose
from services.local.progress import Silent
from services.local.settings import LocalSettings

CONTENTS = {"first": b"one", "second": b"two" * 100_000}
JARS = tuple(Jar("org.example", name, "1", hashlib.sha256(body).hexdigest()) for name, body in CONTENTS.items())


class Quiet(SimpleHTTPRequestHandler):
    """A file server that keeps its log to itself."""

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def source(tmp_path: Path) -> Iterator[str]:
    """A Maven repository with the two jars; its address."""
    for jar in JARS:
        file = tmp_path / "repository" / jar.path
        file.parent.mkdir(parents=True)
        file.write_bytes(CONTENTS[jar.artifact])
    handler = functools.partial(Quiet, directory=str(tmp_path / "repository"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Bytes(Silent):
    """Counts what was fetched."""

    fetched = 0

    def advance(self, step: str, count: int) -> None:
        del step
        self.fetched += count


def test_what_is_sound_is_not_fetched_again(tmp_path: Path, source: str) -> None:
    """The second time there is nothing to do, even with the repository gone."""
    steps = Bytes()
    paths = fetch(JARS, source, tmp_path / "cache", steps)
    assert [path.read_bytes() for path in paths] == list(CONTENTS.values())
    assert steps.fetched == sum(map(len, CONTENTS.values()))
    assert fetch(JARS, "http://127.0.0.1:9", tmp_path / "cache", steps) == paths


def test_a_corrupted_jar_is_fetched_again(tmp_path: Path, source: str) -> None:
    """Neither a damaged file nor a half one is ever given to Java."""
    first, second = fetch(JARS, source, tmp_path / "cache", Silent())
    first.write_bytes(b"damaged")
    second.with_suffix(".jar.part").write_bytes(b"half")
    second.unlink()
    assert [path.read_bytes() for path in fetch(JARS, source, tmp_path / "cache", Silent())] == list(CONTENTS.values())


def test_another_file_than_the_pinned_one_is_refused(tmp_path: Path, source: str) -> None:
    """A repository that was tampered with gives one clear error, and no jar."""
    (tmp_path / "repository" / JARS[0].path).write_bytes(b"evil")
    with pytest.raises(WrongHash, match="SHA-256 differs"):
        fetch(JARS, source, tmp_path / "cache", Silent())
    assert not (tmp_path / "cache" / JARS[0].name).exists()


def test_a_repository_that_does_not_answer_is_one_line(tmp_path: Path) -> None:
    """The line names the address and the setting that changes it."""
    (port,) = choose(0)
    with pytest.raises(DownloadFailed, match="could not fetch http") as caught:
        fetch(JARS, f"http://127.0.0.1:{port}", tmp_path / "cache", Silent())
    assert "\n" not in str(caught.value)
    assert "ATTUNE_MAVEN_REPOSITORY" in caught.value.hint


def test_a_file_that_the_repository_lacks_is_one_line(tmp_path: Path, source: str) -> None:
    """So is a mirror without the file."""
    with pytest.raises(DownloadFailed, match="404"):
        fetch((Jar("org.example", "third", "1", ""),), source, tmp_path / "cache", Silent())


def test_the_users_mirror_is_asked_first(tmp_path: Path) -> None:
    """A setting goes before Maven's own mirror, which goes before the public address."""
    (tmp_path / ".m2").mkdir()
    (tmp_path / ".m2" / "settings.xml").write_text(
        '<settings xmlns="http://maven.apache.org/SETTINGS/1.2.0"><mirrors><mirror><url>https://mirror.example/m2/</url>'
        "</mirror></mirrors></settings>"
    )
    plain, told = LocalSettings(maven_repository=None), LocalSettings(maven_repository="https://told.example")
    assert repository(plain, tmp_path) == "https://mirror.example/m2"
    assert repository(told, tmp_path) == "https://told.example"
    assert repository(plain, tmp_path / "nowhere").startswith("https://")


def test_the_pins_are_whole() -> None:
    """Every jar has a SHA-256 of its own, and no address is written down."""
    jars = pinned()
    assert len({jar.sha256 for jar in jars}) == len(jars) > 40
    assert all(len(jar.sha256) == 64 for jar in jars)
