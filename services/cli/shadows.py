"""`attune policy shadow`: a candidate policy beside the live one, for one tenant. Nobody sees what it says but here."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import typer
from sqlalchemy import text

from services.alerts.domain.policy import POLICIES
from services.cli import accounts, paper
from services.cli.invocation import OPERATOR, Invocation, finish, invocation
from services.platform.clock import SystemClock
from services.platform.db import transaction
from services.platform.errors import ConfigurationError, Refused

EPILOG = """Examples:

    attune policy shadow set high-sens-1 --tenant north-clinic

    attune policy shadow compare --tenant north-clinic

    attune policy shadow clear --tenant north-clinic

What a candidate says is recorded from the next reading on, compared here, never shown to a clinician or delivered."""
Tenant = Annotated[str, typer.Option(help="The tenant.")]

_SET = text("""
    insert into alerts.tenant_clock as c (tenant_id, heard_at, shadow, shadow_since)
    values (:tenant, :now, cast(:policy as text), cast(:now as timestamptz))
    on conflict (tenant_id) do update set shadow = excluded.shadow, shadow_since = excluded.shadow_since
""")
_NOW = text("select shadow, shadow_since from alerts.tenant_clock where tenant_id = :tenant")
_FORGET = text("delete from alerts.shadow_signal where tenant_id = :tenant")
_SIGNALS = text("""
    select live_policy, live_rule, shadow_rule, count(*) as ratings, count(distinct episode_id) as episodes
    from alerts.shadow_signal where tenant_id = :tenant and policy = :policy
      and (live_rule is not null or shadow_rule is not null)
    group by live_policy, live_rule, shadow_rule order by count(*) desc, live_rule, shadow_rule
""")


def build() -> typer.Typer:
    """The group of commands."""
    app = typer.Typer(help="Try a policy beside the live one.", epilog=EPILOG, no_args_is_help=True)
    app.command("set")(set_)
    app.command("clear")(clear)
    app.command("compare")(compare)
    return app


def set_(context: typer.Context, policy: Annotated[str, typer.Argument(help="The candidate.")], tenant: Tenant) -> None:
    """Try a policy beside the live one, from the next reading on. Another candidate before it is forgotten."""
    made = invocation(context)
    if policy not in POLICIES:
        raise ConfigurationError(f"no policy named {policy}", hint=f"one of {', '.join(POLICIES)}")
    finish(_set(made, tenant, policy))
    made.out.print(f"{tenant} tries {policy}; see `attune policy shadow compare --tenant {tenant}`", highlight=False)


def clear(context: typer.Context, tenant: Tenant) -> None:
    """Try nothing any more, and forget what the candidate said."""
    made = invocation(context)
    finish(_set(made, tenant, None))
    made.out.print(f"{tenant} tries no policy", highlight=False)


def compare(
    context: typer.Context, tenant: Tenant, as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False
) -> None:
    """What the candidate would have said, beside what the live policy says of the same ratings."""
    made = invocation(context)
    found = finish(_compare(made, tenant))
    if as_json:
        made.out.print_json(data=found, default=str)
        return
    both, live, candidate = found["both"], found["only_live"], found["only_candidate"]
    made.out.print(
        f"{tenant} tries {found['candidate']} since {found['since']:%Y-%m-%d %H:%M}: both speak of {both} ratings, "
        f"the live policy alone of {live}, the candidate alone of {candidate}",
        highlight=False,
    )
    table = paper.table("live rule", "candidate's rule", "ratings", "courses of care")
    for each in found["rules"]:
        table.add_row(each["live_rule"] or "-", each["shadow_rule"] or "-", str(each["ratings"]), str(each["episodes"]))
    made.out.print(table)


async def _set(made: Invocation, name: str, policy: str | None) -> None:
    async with accounts.database(made.settings(OPERATOR)) as engine:
        tenant = await accounts.find_tenant(engine, name)
        async with transaction(engine, [tenant]) as connection:
            await connection.execute(_FORGET, {"tenant": tenant})
            await connection.execute(_SET, {"tenant": tenant, "policy": policy, "now": SystemClock().now()})


async def _compare(made: Invocation, name: str) -> dict[str, Any]:
    async with accounts.database(made.settings(OPERATOR)) as engine:
        tenant = await accounts.find_tenant(engine, name)
        async with transaction(engine, [tenant]) as connection:
            trying = (await connection.execute(_NOW, {"tenant": tenant})).one_or_none()
            if trying is None or trying.shadow is None:
                raise Refused(f"{name} tries no policy", hint=f"attune policy shadow set POLICY --tenant {name}")
            about: dict[str, UUID | str] = {"tenant": tenant, "policy": trying.shadow}
            rules = [dict(row) for row in (await connection.execute(_SIGNALS, about)).mappings()]
    return _counted(trying.shadow, trying.shadow_since, rules)


def _counted(candidate: str, since: datetime, rules: list[dict[str, Any]]) -> dict[str, Any]:
    def ratings(*, live: bool, shadow: bool) -> int:
        spoken = ((each["live_rule"] is not None, each["shadow_rule"] is not None, each["ratings"]) for each in rules)
        return sum(count for by_live, by_shadow, count in spoken if (by_live, by_shadow) == (live, shadow))

    return {
        "candidate": candidate,
        "since": since,
        "both": ratings(live=True, shadow=True),
        "only_live": ratings(live=True, shadow=False),
        "only_candidate": ratings(live=False, shadow=True),
        "rules": rules,
    }
