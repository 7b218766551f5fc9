"""What was fitted, published and looked at: `attune fit publish`, `list` and `show`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from schemas.events import TenantConfig
from services.cli import fit_card, paper
from services.cli.accounts import database, find_tenant
from services.cli.invocation import OPERATOR, Invocation, finish, invocation
from services.ingest import tenant_configs
from services.lab.fitted_file import FittedFile, current, read
from services.platform.clock import SystemClock
from services.platform.db import transaction
from services.platform.errors import ConfigurationError, Refused
from services.scoring.domain.hazard import refusals
from services.scoring.fitted import model_of

_PLACEHOLDER: Final = 1
"""Of a config that is to be published: its version is the publication's to say."""


def publish(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="What `attune fit` wrote.")],
    tenant: Annotated[str, typer.Option(help="Whose parameters they are.")],
) -> None:
    """Publish what was fitted: episodes that begin a minute from now, or later, are worked out with it.

    A hazard of dropout must have passed its gate; a file without one turns the tenant's off.
    """
    made = invocation(context)
    config = finish(_publish(made, _fit_to_speak(current(read(file))), tenant))
    at = f"{config.in_force_from:%Y-%m-%d %H:%M:%S} UTC"
    foretold = "with a hazard of dropout" if config.hazard else "no hazard of dropout"
    told = f"{tenant} version {config.version}, {foretold}: for episodes that begin from {at} on"
    made.out.print(told, highlight=False)


def _fit_to_speak(file: FittedFile) -> FittedFile:
    """The same, unless it holds a hazard that has not passed its gate."""
    shut = refusals(model_of(file.hazard).gate) if file.hazard else ()
    if shut:
        raise Refused(
            f"the hazard of dropout has not passed its gate: {'; '.join(shut)}",
            hint="publish what `attune fit` wrote, without a hazard",
        )
    return file


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
            curves=file.curves,
            hazard=file.hazard,
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
    columns = ("version", "for episodes that begin from", "instruments", "dropout", "engine")
    table = paper.table(*columns)
    for each in found:
        at = f"{each.in_force_from:%Y-%m-%d %H:%M:%S} UTC"
        told = "foretold" if each.hazard else "-"
        table.add_row(str(each.version), at, ", ".join([*each.parameters, *each.curves]), told, str(each.engine))
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
    fit_card.show(made.out, read(file) if file else finish(published(made, tenant or "", version)))


async def published(made: Invocation, tenant: str, version: int | None) -> FittedFile:
    found = [each for each in await _versions(made, tenant) if version in {None, each.version}]
    if not found:
        raise Refused(f"{tenant} has no such version", hint=f"attune fit list --tenant {tenant}")
    last = found[-1]
    parts = ("engine", "parameters", "card", "curves", "hazard")
    return FittedFile(**{name: getattr(last, name) for name in parts})


async def _versions(made: Invocation, name: str) -> list[TenantConfig]:
    async with database(made.settings(OPERATOR)) as engine:
        tenant = await find_tenant(engine, name)
        async with transaction(engine, [tenant]) as connection:
            return await tenant_configs.known(connection, [tenant])
