"""`python -m schemas generate | check | show TOPIC`: the published language, written, guarded and shown."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from schemas import generate as files

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
Room = Annotated[Path, typer.Option(help="The folder that holds jsonschema/, examples/ and asyncapi.yaml")]


@app.command()
def generate(room: Room = files.ROOM) -> None:
    """Write jsonschema/ and asyncapi.yaml from the models."""
    written = files.write(room)
    for path in written:
        typer.echo(f"wrote {path}")
    typer.echo(f"{len(written)} files changed")


@app.command()
def check(room: Room = files.ROOM) -> None:
    """Hold the committed files to the models, to compatibility and to the golden examples."""
    from schemas.check import faults  # noqa: PLC0415 - its validator is installed for development only

    found = faults(room)
    for fault in found:
        typer.echo(fault, err=True)
    if found:
        raise typer.Exit(1)
    typer.echo(f"schemas: {len(files.messages())} event types, files, examples and catalogue agree")


@app.command()
def show(topic: str) -> None:
    """Print the schemas of one topic (or of `posted`, what a clinic posts)."""
    found = [message for message in files.messages() if message.channel == topic]
    if not found:
        raise typer.BadParameter("no events travel there; one of: " + ", ".join(files.contracts()))
    for message in found:
        typer.echo(files.text_of(message.schema), nl=False)


if __name__ == "__main__":
    app(prog_name="python -m schemas")
