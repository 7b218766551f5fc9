"""The file that `attune fit-dropout` writes: a hazard model with its gate and its card, as JSON."""

from __future__ import annotations

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from services.platform.errors import AttuneError
from services.scoring.domain.hazard import HazardModel


class BadHazardFile(AttuneError):
    """Not what `attune fit-dropout` writes; names the place and what was expected there."""


def write(path: Path, model: HazardModel) -> None:
    """Put it there, readable.

    Raises:
        BadHazardFile: it cannot be written.
    """
    try:
        path.write_bytes(TypeAdapter(HazardModel).dump_json(model, indent=1) + b"\n")
    except OSError as error:
        raise BadHazardFile(f"{path} cannot be written: {error.strerror}", hint="check --out") from None


def read(path: Path) -> HazardModel:
    """The model in a file.

    Raises:
        BadHazardFile: it is not there, or is not what `attune fit-dropout` writes.
    """
    hint = "`attune fit-dropout --out FILE` writes one"
    try:
        return TypeAdapter(HazardModel).validate_json(path.read_bytes())
    except OSError as error:
        raise BadHazardFile(f"{path} cannot be read: {error.strerror}", hint=hint) from None
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in fault["loc"]) or "the file"
        raise BadHazardFile(f"{path}: {place}: {fault['msg'].removeprefix('Value error, ')}", hint=hint) from None
