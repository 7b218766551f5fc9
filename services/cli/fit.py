"""`attune fit`: a clinic's own engine parameters, from its own ratings; published, they are for episodes to come."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final
from uuid import UUID

import typer
from rich.table import Table
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.events import TenantConfig
from schemas.instruments import Instrument, UnknownInstrument, catalogue, lookup
from services.cli import fit_card
from services.cli.accounts import database, find_tenant
from services.cli.bars import bar
from services.cli.invocation import OPERATOR, Invocation, finish, invocation
from services.ingest import tenant_configs
from services.lab.fit import ENOUGH_CLIENTS, Fitted, TooFewClients
from services.lab.fit import fit as fit_one
from services.lab.fit_source import Ratings, ratings
from services.lab.fitted_file import FittedFile, current, read, write
from services.platform.clock import SystemClock
from services.platform.db import transaction
from services.platform.errors import ConfigurationError, Refused

EPILOG: Final = """Examples:

    attune fit --events caseload.ndjson --out fitted.json

    attune fit --tenant north-clinic --instrument srs@3 --out fitted.json

    attune fit publish fitted.json --tenant north-clinic

What is fitted, from how many clients, and what the model card says: docs/clinical/fit.md."""
_INBOX = text("select value from ingest.inbox where tenant_id = :tenant order by client_id, received_at, event_id")
_PLACEHOLDER: Final = 1
"""Of a config that is to be published: its version is the publication's to say."""


def build() -> typer.Typer:
    """The group of commands; without a name it fits."""
    app = typer.Typer(epilog=EPILOG, invoke_without_command=True, no_args_is_help=True)
    app.callback()(fit)
    app.command("publish")(publish)
    app.command("list")(list_)
    app.command("show")(show)
    return app


def fit(  # noqa: PLR0917 - typer passes options by name
    context: typer.Context,
    events: Annotated[Path | None, typer.Option(help="A file of events, one JSON object a line.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Instead of --events: what this tenant has posted.")] = None,
    instrument: Annotated[list[str] | None, typer.Option(help="Only this one; may be repeated.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the simulations: the same seed, the same result.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Where the parameters go, as JSON.")] = None,
) -> None:
    """Fit the engine's parameters to a clinic's own ratings, of 200 clients or more, and show the model card."""
    if context.invoked_subcommand is not None:
        return
    made = invocation(context)
    if (events is None) == (tenant is None) or out is None:
        raise ConfigurationError("from what, and where to?", hint="--events FILE or --tenant NAME, and --out FILE")
    _needs_scipy()
    wanted = [_known(key) for key in instrument or ()]
    found = _ratings(made, events) if events else finish(_of_tenant(made, tenant or ""))
    file = FittedFile.of(_fitted(made, found, wanted, seed))
    write(out, file)
    fit_card.show(made.out, file)
    made.out.print(f"written to {out}; next: attune fit publish {out} --tenant NAME", highlight=False)


def _needs_scipy() -> None:
    if importlib.util.find_spec("scipy") is None:
        raise ConfigurationError("fitting needs SciPy, which is not installed", hint="pip install attune[lab]")


def _known(key: str) -> Instrument:
    found = lookup(key)
    if isinstance(found, UnknownInstrument):
        raise ConfigurationError(f"no instrument {key}", hint=f"expected {found.expected}")
    return found


def _ratings(made: Invocation, events: Path) -> Ratings:
    size = events.stat().st_size if events.is_file() else 0
    with bar(made.say, "reading", 2 * size) as progress:
        found = ratings(events, progress.by)
    if found.first_fault is not None:
        line, pointer, expected = found.first_fault
        where = f"line {line}{f' {pointer}' if pointer else ''}"
        made.say.print(f"{found.refused:,} lines left out, the first: {where}: {expected}", markup=False)
    return found


async def _of_tenant(made: Invocation, name: str) -> Ratings:
    """What the inbox holds, as a file that is gone afterwards."""
    async with database(made.settings(OPERATOR)) as engine:
        tenant = await find_tenant(engine, name)
        with tempfile.TemporaryDirectory(prefix="attune-fit-") as folder:
            path = Path(folder) / "inbox.ndjson"
            await _export(engine, tenant, path)
            return _ratings(made, path)


async def _export(engine: AsyncEngine, tenant: UUID, path: Path) -> None:
    async with transaction(engine, [tenant]) as connection:
        with path.open("wb") as file:
            async for (value,) in await connection.stream(_INBOX, {"tenant": tenant}):
                file.write(value + b"\n")


def _fitted(made: Invocation, found: Ratings, wanted: Sequence[Instrument], seed: int) -> list[Fitted]:
    """Of each instrument that was asked for, or of each alliance measure there is enough of."""
    asked = wanted or [each for each in catalogue() if each.family == "alliance" and each.key in found.series]
    fitted: list[Fitted] = []
    with bar(made.say, "fitting", len(asked)) as progress:
        for each in asked:
            try:
                fitted.append(fit_one(each, found.series[each.key], seed=seed))
            except TooFewClients as error:
                made.say.print(f"{error}: the shipped parameters stay", markup=False, highlight=False)
            progress.by(1)
    if not fitted:
        raise Refused("there is nothing to fit", hint=f"{ENOUGH_CLIENTS} clients with two ratings or more are needed")
    return fitted


def publish(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="What `attune fit` wrote.")],
    tenant: Annotated[str, typer.Option(help="Whose parameters they are.")],
) -> None:
    """Publish fitted parameters: episodes that begin a minute from now, or later, are worked out with them."""
    made = invocation(context)
    config = finish(_publish(made, current(read(file)), tenant))
    at = f"{config.in_force_from:%Y-%m-%d %H:%M:%S} UTC"
    made.out.print(f"{tenant} version {config.version}: for episodes that begin from {at} on", highlight=False)


async def _publish(made: Invocation, file: FittedFile, name: str) -> TenantConfig:
    now = SystemClock().now()
    async with database(made.settings(OPERATOR)) as engine:
        tenant = await find_tenant(engine, name)
        wanted = TenantConfig(
            tenant_id=tenant,
            version=_PLACEHOLDER,
            in_force_from=now,
            engine=file.engine,
            parameters=file.parameters,
            card=file.card,
        )
        async with transaction(engine, [tenant]) as connection:
            return await tenant_configs.publish(connection, wanted, now)


def list_(
    context: typer.Context,
    tenant: Annotated[str, typer.Option(help="Whose.")],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, whole.")] = False,
) -> None:
    """Every version of a tenant's parameters."""
    made = invocation(context)
    found = finish(_versions(made, tenant))
    if as_json:
        made.out.print_json(data=[each.model_dump(mode="json") for each in found])
        return
    table = Table("version", "for episodes that begin from", "instruments", "engine", box=None, header_style="bold")
    for each in found:
        at = f"{each.in_force_from:%Y-%m-%d %H:%M:%S} UTC"
        table.add_row(str(each.version), at, ", ".join(each.parameters), str(each.engine))
    made.out.print(table)


def show(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="What `attune fit` wrote.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Instead: what is published for this tenant.")] = None,
    version: Annotated[int | None, typer.Option(help="With --tenant: this version, not the latest.")] = None,
) -> None:
    """The model card of fitted parameters."""
    made = invocation(context)
    if (file is None) == (tenant is None):
        raise ConfigurationError("the card of what?", hint="FILE, or --tenant NAME")
    fit_card.show(made.out, read(file) if file else finish(_published(made, tenant or "", version)))


async def _published(made: Invocation, tenant: str, version: int | None) -> FittedFile:
    found = [each for each in await _versions(made, tenant) if version in {None, each.version}]
    if not found:
        raise Refused(f"{tenant} has no such version", hint=f"attune fit list --tenant {tenant}")
    return FittedFile(engine=found[-1].engine, parameters=found[-1].parameters, card=found[-1].card)


async def _versions(made: Invocation, name: str) -> list[TenantConfig]:
    async with database(made.settings(OPERATOR)) as engine:
        tenant = await find_tenant(engine, name)
        async with transaction(engine, [tenant]) as connection:
            return await tenant_configs.known(connection, [tenant])
