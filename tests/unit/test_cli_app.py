"""The command line: it explains itself, and a failure is one line, a hint and exit code 2."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from services.cli.app import run
from services.cli.commands import ENTRIES, Entry, load
from services.cli.invocation import Invocation

Call = Callable[..., tuple[int, str, str]]
COMMANDS = (
    ("setup",), ("up",), ("demo",), ("status",), ("post",),
    ("tenants",), ("tenants", "create"), ("tenants", "list"), ("tenants", "settings"),
    ("keys",), ("keys", "create"), ("keys", "list"), ("keys", "revoke"), ("keys", "rotate"),
    ("migrate",), ("migrate", "up"), ("migrate", "down"), ("migrate", "status"),
    ("topics",), ("topics", "create"), ("topics", "list"), ("topics", "check"),
    ("replay",), ("verify",), ("dead-letters",), ("backtest",), ("fit",), ("fit", "publish"), ("fit", "list"),
    ("fit", "show"), ("fit", "dropout"), ("policy",), ("policy", "list"), ("policy", "show"), ("policy", "diff"),
    ("policy", "set"), ("policy", "clear"),
    ("policy", "shadow"), ("policy", "shadow", "set"), ("policy", "shadow", "clear"), ("policy", "shadow", "compare"),
)  # fmt: skip


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Run a command in an empty home; its exit code, results and remarks."""
    monkeypatch.setenv("ATTUNE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ATTUNE_API_KEY", raising=False)

    def one(*arguments: str, environment: dict[str, str] | None = None) -> tuple[int, str, str]:
        out, say = StringIO(), StringIO()
        made = Invocation(environment or {}, out=Console(file=out, width=120), say=Console(file=say, width=120))
        return run(arguments, made), out.getvalue(), say.getvalue()

    return one


def _events(tmp_path: Path) -> str:
    path = tmp_path / "events.ndjson"
    path.write_text(
        '{"id":"1","type":"session.missed","client":"C","session":"s","occurred_at":"2026-01-05T10:00:00Z"}'
    )
    return str(path)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(
    command: tuple[str, ...], call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    """--help renders, exits with 0, and names the command."""
    code, _, _ = call(*command, "--help")
    told = capsys.readouterr().out
    assert code == 0
    assert f"attune {' '.join(command)}" in told


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_a_command_says_of_itself_what_the_list_says_of_it(entry: Entry) -> None:
    """The list is written down apart, so that listing loads nothing: the two must not come to differ."""
    assert load(entry).help.split("\n")[0] == entry.says


def test_help_loads_nothing_that_it_does_not_need() -> None:
    """Whoever asks what there is does not wait for databases, brokers and laboratories."""
    listed = "import sys; from services.cli.app import run; from services.cli.invocation import Invocation"
    heavy = {"numpy", "scipy", "sqlalchemy", "fastapi", "aiokafka", "faust", "matplotlib", "sklearn"}
    script = f"{listed}; code = run(['--help'], Invocation({{}})); print(sorted({heavy!r} & sys.modules.keys()), code)"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert told.splitlines()[-1] == "[] 0"


@pytest.mark.parametrize("command", ["setup", "up", "demo", "status", "post", "tenants", "keys", "migrate", "topics"])
def test_help_has_an_example(command: str, call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever asks for help sees a line to copy."""
    call(command, "--help")
    assert "Example" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("tenants", "list"), "no stack runs"),
        (("tenants", "settings", "north"), "nothing to set"),
        (("keys", "create", "north", "--scope", "everything"), "no scope everything"),
        (("migrate", "status"), "no stack runs"),
        (("migrate", "down", "base"), "loses data"),
        (("topics", "list"), "no stack runs"),
        (("post",), "name one file"),
        (("post", "nowhere.ndjson", "--dry-run"), "cannot be read"),
        (("post", "--csv", "a.csv"), "needs a mapping"),
        (("post", "--csv", "a.csv", "--mapping", "nowhere.toml"), "cannot be read"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_failure_is_one_line_and_2(arguments: tuple[str, ...], says: str, call: Call) -> None:
    """One line with what to do next, exit code 2, nothing on standard output, never a traceback."""
    code, out, said = call(*arguments)
    assert (code, out) == (2, "")
    assert says in said
    assert said.count("\n") == 1
    assert "(" in said
    assert "Traceback" not in said


def test_misuse_is_2(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown command, option or value ends with 2 as well."""
    assert call("nonsense")[0] == 2
    assert call("status", "--nonsense")[0] == 2
    assert call("post", "--batch", "0", "x")[0] == 2
    assert "Traceback" not in capsys.readouterr().err


def test_bad_settings_are_named(call: Call) -> None:
    """The variable is named, its value is not."""
    code, _, said = call(
        "topics", "list", environment={"ATTUNE_KAFKA_BOOTSTRAP": "k:1", "ATTUNE_KAFKA_PARTITIONS": "many"}
    )
    assert code == 2
    assert "ATTUNE_KAFKA_PARTITIONS" in said
    assert "many" not in said


def test_no_key_says_where_to_get_one(call: Call, tmp_path: Path) -> None:
    """Posting without a key leads to `attune keys create`."""
    code, _, said = call("post", _events(tmp_path), "--url", "http://127.0.0.1:9")
    assert code == 2
    assert "attune keys create" in said


def test_a_server_that_is_not_there_is_one_line(call: Call) -> None:
    """PostgreSQL that does not answer is said in a line."""
    url = "postgresql+asyncpg://nobody@127.0.0.1:9/none"
    code, _, said = call("tenants", "list", environment={"ATTUNE_DATABASE_URL": url})
    assert code == 2
    assert said.count("\n") == 1


def test_a_fault_of_ours_leaves_a_file_and_no_traceback(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody expected is one line; where it happened is in a file, what it said is not."""
    answer = f"C-{400 + 17}"  # not as it stands in this source, which the frames show

    def broken(_: Invocation) -> dict[str, object]:
        raise RuntimeError(answer)

    monkeypatch.setattr("services.cli.status.look", broken)
    code, _, said = call("status")
    assert code == 2
    assert said.count("\n") == 1
    log = (tmp_path / "home/logs/cli.log").read_text(encoding="utf-8")
    assert "RuntimeError" in log
    assert answer not in log + said


def test_status_of_an_empty_home_says_how_to_start(call: Call) -> None:
    """Nothing was ever started: no error, and the next step; as JSON for machines."""
    code, out, _ = call("status")
    assert code == 0
    assert "attune up" in out
    code, out, _ = call("status", "--json")
    assert json.loads(out)["running"] is False


def test_dry_run_needs_no_server(call: Call, tmp_path: Path) -> None:
    """A file can be checked before there is anything to post it to."""
    code, out, _ = call("post", "--dry-run", _events(tmp_path), "--json")
    assert code == 0
    assert json.loads(out)["accepted"] == 1
