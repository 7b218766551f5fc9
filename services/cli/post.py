"""`attune post FILE`: a file of events through the HTTP door."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from services.cli.bars import bar
from services.cli.documents import Document, Misfit, Unreadable, read_csv, read_ndjson
from services.cli.door import open_door
from services.cli.feed import batches, check
from services.cli.invocation import Invocation, finish, invocation
from services.cli.mapping import BadMapping, read_mapping
from services.cli.tally import Tally, report
from services.platform.clock import SystemClock
from services.platform.errors import ConfigurationError

EPILOG = """Examples:

    attune post events.ndjson --key-file key.txt

    attune post --csv survey.csv --mapping docs/integrate/srs-survey.mapping.toml --as-live

    attune post --dry-run events.ndjson

Posting again is safe: events that are known are recognised by id and version. See docs/integrate/csv.md."""
BATCH = 500


def post(  # noqa: PLR0917 - typer passes options by name
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="Events, one JSON object a line.", show_default=False)] = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="A CSV file, with --mapping.")] = None,
    mapping: Annotated[Path | None, typer.Option(help="TOML: which column goes where.")] = None,
    url: Annotated[str | None, typer.Option(help="Ingest's address; default: the stack in this home.")] = None,
    key: Annotated[str | None, typer.Option(help="An API key; a file is safer.", envvar="ATTUNE_API_KEY")] = None,
    key_file: Annotated[Path | None, typer.Option(help="A file that holds the API key.")] = None,
    as_live: Annotated[bool, typer.Option(help="Every event at its own time's clock; needs the scope clock.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Check every event against the contract, post nothing.")] = False,
    start: Annotated[datetime | None, typer.Option(help="The mapping's start, where the file has no dates.")] = None,
    from_line: Annotated[int, typer.Option(min=1, help="Go on at this line, after an interruption.")] = 1,
    batch: Annotated[int, typer.Option(min=1, max=10_000, help="Events a request.")] = BATCH,
    as_json: Annotated[bool, typer.Option("--json", help="The summary as JSON.")] = False,
) -> None:
    """Post a file of events: NDJSON (plain or CloudEvents), or CSV with a mapping."""
    made = invocation(context)
    found = [one for one in open_source(file, csv_file, mapping, start) if one.line >= from_line]
    if dry_run:
        tally = check(found, SystemClock().now())
    else:
        address = made.address("ingest", url)
        tally = finish(_post(made, found, (address, read_key(made, key, key_file)), (as_live, batch)))
    report(made.out, tally, as_json=as_json, verb="valid" if dry_run else "accepted")


def open_source(
    file: Path | None, csv_file: Path | None, mapping: Path | None, start: datetime | None
) -> Iterator[Document | Misfit]:
    """The documents of whichever file was named.

    Raises:
        ConfigurationError: none, or several, or a CSV without its mapping.
    """
    if (file is None) == (csv_file is None):
        raise ConfigurationError("name one file", hint="attune post FILE, or attune post --csv FILE --mapping MAPPING")
    if file is not None:
        return read_ndjson(file)
    if csv_file is None or mapping is None:
        raise BadMapping("a CSV file needs a mapping", hint="--mapping FILE; see docs/integrate/csv.md")
    try:
        text = mapping.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise Unreadable(f"{mapping} cannot be read", hint="check --mapping") from None
    return read_csv(csv_file, read_mapping(text, start=start))


def read_key(made: Invocation, key: str | None, key_file: Path | None) -> str:
    """The key as given, else from a file, else that of the demo in this home.

    Raises:
        ConfigurationError: there is none.
    """
    if key:
        return key
    path = key_file or made.home().secrets / "demo-key"
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        raise ConfigurationError(
            f"no API key{f' in {key_file}' if key_file else ''}",
            hint="make one with `attune keys create TENANT`, then --key-file FILE",
        ) from None


async def _post(
    made: Invocation, found: list[Document | Misfit], access: tuple[str, str], how: tuple[bool, int]
) -> Tally:
    tally, (url, key), (as_live, size) = Tally(), access, how
    for one in found:
        if isinstance(one, Misfit):
            tally.refuse(one)
    documents = [one for one in found if isinstance(one, Document)]
    async with open_door(url, key) as door:
        with bar(made.say, "posting", len(documents)) as progress:
            for one_batch in batches(documents, size, as_live=as_live):
                answers = await door.post_batch([each.body for each in one_batch.documents], one_batch.clock)
                for each, answer in zip(one_batch.documents, answers, strict=True):
                    tally.take(each.line, answer)
                progress.by(len(one_batch.documents))
    return tally
