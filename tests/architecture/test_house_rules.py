"""The house rules that a linter does not know."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(path for room in ("schemas", "services") for path in (ROOT / room).rglob("*.py"))
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
# the one language of all services: splitting it by topic would part types that share their bases
LONG_MODULES = {"schemas/events.py"}
# written apart, so that this file does not find itself
MACHINE_PLACES = [
    rf"(?<![\w.-])/{'wo' + 'rk'}/",
    rf"(?<![\w.-])/{'ro' + 'ot'}/",
    rf"(?<![\w.-])/{'ho' + 'me'}/",
    "/tmp/" + "brief",
]
REGISTRIES = [
    "pypi" + ".org",
    "files.python" + "hosted.org",
    "repo1.maven" + ".org",
    "repo.maven" + ".apache.org",
    "registry.npmjs" + ".org",
    "deb.debian" + ".org",
]
FORBIDDEN = re.compile("|".join([*MACHINE_PLACES, *map(re.escape, REGISTRIES)]))
CLOCK = re.compile(r"\bdatetime\.now\(|\btime\.time\(")


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _long_functions(path: Path) -> list[str]:
    nodes = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, FUNCTIONS)]
    return [f"{_name(path)}:{node.name}" for node in nodes if (node.end_lineno or 0) - node.lineno >= 50]


def test_functions_and_modules_are_short() -> None:
    """No function is over 50 lines, no module over 300."""
    found = [
        _name(path)
        for path in MODULES
        if len(path.read_text("utf-8").splitlines()) > 300 and _name(path) not in LONG_MODULES
    ]
    found += [name for path in MODULES for name in _long_functions(path)]
    assert found == []


def test_every_module_says_what_it_is() -> None:
    """A module with code has a docstring."""
    trees = {path: ast.parse(path.read_text("utf-8")) for path in MODULES}
    assert [_name(path) for path, tree in trees.items() if tree.body and not ast.get_docstring(tree)] == []


def test_only_entry_points_read_the_environment() -> None:
    """`os.environ` is for `__main__`, and for services/local, which starts processes."""
    found = [_name(path) for path in MODULES if "os.environ" in path.read_text("utf-8") and path.name != "__main__.py"]
    assert [name for name in found if not name.startswith("services/local/")] == []


def test_one_module_knows_the_time() -> None:
    """Everybody else is told."""
    found = [_name(path) for path in MODULES if CLOCK.search(path.read_text("utf-8"))]
    assert [name for name in found if name != "services/platform/clock.py"] == []


def test_no_test_mocks_our_own_code() -> None:
    """Fakes are backends; nothing is patched over."""
    needle = "unittest" + ".mock"
    assert [_name(path) for path in (ROOT / "tests").rglob("*.py") if needle in path.read_text("utf-8")] == []


def _tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.split("\0") if name]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="an unpacked archive has no list of tracked files")
def test_nothing_names_a_machine_or_a_registry() -> None:
    """The tree is the same wherever it was written, and fetches from wherever the reader's tools are told to."""
    texts = {path: path.read_bytes() for path in _tracked() if path.is_file()}
    readable = {path: data.decode() for path, data in texts.items() if b"\0" not in data}
    assert [f"{_name(path)}: {hit[0]}" for path, text in readable.items() if (hit := FORBIDDEN.search(text))] == []


def test_rooms_depend_downwards_only() -> None:
    """The import contracts of pyproject.toml hold."""
    tool = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run([tool, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
