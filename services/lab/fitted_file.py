"""The file that `attune fit` writes and others read: parameters by instrument, and the model card of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import Field, ValidationError, model_validator

from schemas.events import Contract, CurveParameters, Finite, HazardParameters, InstrumentKey, InstrumentParameters
from schemas.instruments import UnknownInstrument, lookup
from services.lab import offtrack_fit
from services.lab.fit import Fitted
from services.platform.errors import AttuneError
from services.scoring.domain.config import ENGINE_VERSION, EngineConfig
from services.scoring.domain.hazard import HazardModel
from services.scoring.domain.off_track import Curve
from services.scoring.fitted import engine_with, model_of

TRIED: Final = 1
"""The version of parameters that are not published: not 0, which is the shipped ones'."""


class BadFittedFile(AttuneError):
    """Not what `attune fit` writes; names the place and what was expected there."""


class FittedFile(Contract):
    """As it stands in the file. `engine`: the version of the engine it was fitted with.

    `hazard`: of dropout, made with these very parameters (with the shipped ones, where there are none).
    """

    engine: Annotated[int, Field(ge=1)]
    parameters: dict[InstrumentKey, InstrumentParameters] = Field(default_factory=dict)
    card: dict[InstrumentKey, dict[str, Finite]] = Field(default_factory=dict)
    curves: dict[InstrumentKey, CurveParameters] = Field(default_factory=dict)
    hazard: HazardParameters | None = None

    @model_validator(mode="after")
    def _plausible(self) -> Self:
        if not (self.parameters or self.curves or self.hazard):
            raise ValueError("parameters: of one instrument at least, or curves, or a hazard")
        if self.hazard is not None:
            model_of(self.hazard)
        for key, each in self.parameters.items():
            fault = _fault(key, each)
            if fault:
                raise ValueError(f"parameters.{key}: {fault}")
        for key in self.curves:
            instrument = lookup(key)
            if isinstance(instrument, UnknownInstrument) or instrument.family != "outcome":
                raise ValueError(f"curves.{key}: an outcome measure that is known")
        return self

    @classmethod
    def of(cls, fitted: Iterable[Fitted], curves: Mapping[str, offtrack_fit.Fitted] | None = None) -> Self:
        """Of what `fit` and `offtrack_fit` found."""
        found = dict(curves or {})
        made = {
            each.instrument: (InstrumentParameters(mu0=each.mu0, sb=each.sb, sw=each.sw, rates=each.rates), each.card)
            for each in fitted
        }
        return cls(
            engine=ENGINE_VERSION,
            parameters={key: parameters for key, (parameters, _) in made.items()},
            card={key: card for key, (_, card) in made.items()} | {key: dict(each.card) for key, each in found.items()},
            curves={key: _curve(each.config.curve) for key, each in found.items()},
        )

    def tried(self) -> EngineConfig:
        """The engine with all of it."""
        about = {"engine": self.engine, "version": TRIED}
        return engine_with(self.parameters, **about, curves=self.curves, hazard=self.hazard)

    def foretelling(self, model: HazardModel) -> Self:
        """The same with a hazard of dropout that was made with these parameters."""
        found = {**asdict(model), "engine": ENGINE_VERSION}
        return self.model_copy(update={"hazard": HazardParameters.model_validate(found)})


def read(path: Path) -> FittedFile:
    """The file's content.

    Raises:
        BadFittedFile: it is not there, or is not what `attune fit` writes.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise BadFittedFile(
            f"{path} cannot be read: {error.strerror}", hint="`attune fit --out FILE` writes one"
        ) from None
    try:
        return FittedFile.model_validate_json(text)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in fault["loc"])
        what = fault["msg"].removeprefix("Value error, ")
        raise BadFittedFile(
            f"{path}: {f'{place}: ' if place else ''}{what}", hint="`attune fit --out FILE` writes one"
        ) from None


def write(path: Path, file: FittedFile) -> None:
    """Put it there, readable.

    Raises:
        BadFittedFile: it cannot be written.
    """
    try:
        path.write_text(file.model_dump_json(indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise BadFittedFile(f"{path} cannot be written: {error.strerror}", hint="check --out") from None


def engine_of(path: Path) -> EngineConfig:
    """The engine with the parameters in a file, for trying them out.

    Raises:
        BadFittedFile: it is not there, is not what `attune fit` writes, or was fitted with another engine.
    """
    return current(read(path)).tried()


def current(file: FittedFile) -> FittedFile:
    """The same, where this engine can use it.

    Raises:
        BadFittedFile: its rates are about another engine's evidence.
    """
    if file.engine != ENGINE_VERSION:
        raise BadFittedFile(f"fitted with engine {file.engine}, this is engine {ENGINE_VERSION}", hint="fit again")
    return file


def _curve(found: Curve) -> CurveParameters:
    numbers = {name: round(getattr(found, name), 6) for name in ("gain", "per_point", "residual")}
    return CurveParameters(**numbers, sessions=found.sessions)


def _fault(key: str, given: InstrumentParameters) -> str:
    """What of these parameters cannot be, on that instrument's scale."""
    instrument = lookup(key)
    if isinstance(instrument, UnknownInstrument):
        return f"unknown instrument, expected {instrument.expected}"
    scale = instrument.total
    if not scale.low - scale.span < given.mu0 < scale.high + scale.span:
        return f"mu0: near the scale, {scale.low:g} to {scale.high:g}"
    if max(given.sb, given.sw) > scale.span:
        return f"sb and sw: at most {scale.span:g}"
    shares = [share for share, _ in given.rates]
    evidence = [reached for _, reached in given.rates]
    if shares != sorted(set(shares), reverse=True) or evidence != sorted(evidence):
        return "rates: shares fall and evidence rises"
    return ""
