"""`attune policy set | clear`: a policy of one tenant's own, who asked for it when, and what is in force."""

from __future__ import annotations

import getpass
from typing import Annotated, Any

import typer
from sqlalchemy import text

from services.alerts.adapters import policies as stored
from services.alerts.domain.policy import Policy
from services.cli import accounts
from services.cli.invocation import OPERATOR, Invocation, finish, invocation
from services.cli.named import policy_of
from services.platform.clock import SystemClock
from services.platform.db import transaction

SET_EPILOG = """Examples:

    attune policy set north-clinic high-sens-1

    attune policy show fic-default-2 --json > ours.json

    attune policy set north-clinic ours.json

Within seconds, all that stands in that clinic is decided anew under it, in one go. An alert on the same rating, or one
that still stands, stays the one it is: nobody is told twice. Strains that are over are history. Try it first:
`attune backtest`, `attune policy diff`, `attune policy shadow`."""
Tenant = Annotated[str, typer.Argument(help="The tenant.")]
_LAST = text("select coalesce(max(version), 0) from alerts.tenant_policy where tenant_id = :tenant")
_ASK = text("""
    insert into alerts.tenant_policy (tenant_id, version, policy, definition, set_at, set_by)
    values (:tenant, :version, :policy, cast(:definition as jsonb), :now, :by)
""")
_TELL = text("""
    insert into alerts.tenant_clock as c (tenant_id, heard_at, policy_asked) values (:tenant, :now, :version)
    on conflict (tenant_id) do update set policy_asked = excluded.policy_asked
""")
_HISTORY = text("""
    select p.version, p.policy, cast(p.definition as text) as definition, p.set_at, p.set_by,
           coalesce(p.version = c.policy_version, false) as in_force
    from alerts.tenant_policy p left join alerts.tenant_clock c using (tenant_id)
    where p.tenant_id = :tenant order by p.version
""")


def set_(
    context: typer.Context,
    tenant: Tenant,
    policy: Annotated[str, typer.Argument(help="A policy by name, or a file.", metavar="NAME|FILE")],
) -> None:
    """Decide one tenant's alerts under a policy of its own."""
    made = invocation(context)
    wanted = policy_of(policy)
    version = finish(_ask(made, tenant, wanted))
    made.out.print(
        f"{tenant} asked for {wanted.name} (its change {version}); see `attune policy show --tenant {tenant}`"
    )


def clear(context: typer.Context, tenant: Tenant) -> None:
    """Decide one tenant's alerts under the installation's policy again."""
    made = invocation(context)
    version = finish(_ask(made, tenant, None))
    made.out.print(f"{tenant} asked for the installation's policy (its change {version})", highlight=False)


async def _ask(made: Invocation, name: str, policy: Policy | None) -> int:
    async with accounts.database(made.settings(OPERATOR)) as engine:
        tenant = await accounts.find_tenant(engine, name)
        async with transaction(engine, [tenant]) as connection:
            version = int((await connection.execute(_LAST, {"tenant": tenant})).scalar_one()) + 1
            asked = {"tenant": tenant, "version": version, "now": SystemClock().now()}
            what = {"policy": policy and policy.name, "definition": policy and stored.written(policy)}
            await connection.execute(_ASK, asked | what | {"by": f"operator:{getpass.getuser()}"})
            await connection.execute(_TELL, asked)
    return version


def history(made: Invocation, name: str) -> list[dict[str, Any]]:
    """Every policy that was asked for, in order; nothing where the installation's has always been in force."""
    return finish(_history(made, name))


async def _history(made: Invocation, name: str) -> list[dict[str, Any]]:
    async with accounts.database(made.settings(OPERATOR)) as engine:
        tenant = await accounts.find_tenant(engine, name)
        async with transaction(engine, [tenant]) as connection:
            return [dict(row) for row in (await connection.execute(_HISTORY, {"tenant": tenant})).mappings()]
