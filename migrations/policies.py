"""Row-level security, the same for every table: forced, and closed where no tenant was named."""

from __future__ import annotations

from alembic import op

OWN = "tenant_id = any(current_setting('app.tenants')::uuid[])"
"""Without `app.tenants` in the transaction this raises, or reads '' and fails to cast: closed either way."""

ROLES = ("attune_ingest", "attune_relay", "attune_alerts", "attune_operator")


def create_roles() -> None:
    """Roles are the cluster's, not the database's: create what is missing."""
    for role in ROLES:
        op.execute(
            f"do $$ begin if not exists (select from pg_roles where rolname = '{role}') then "
            f"create role {role} login; end if; exception when duplicate_object then null; end $$"
        )


def secure(table: str, *, by_tenant: bool = True) -> None:
    """Force row-level security on a table; by default its rows are seen by their tenant only."""
    op.execute(f"alter table {table} enable row level security")
    op.execute(f"alter table {table} force row level security")
    if by_tenant:
        op.execute(f"create policy own on {table} using ({OWN}) with check ({OWN})")


def allow(table: str, role: str, *, command: str, using: str) -> None:
    """A further policy for a role whose work crosses tenants; `using` says how far."""
    check = f" with check ({using})" if command in {"all", "insert", "update"} else ""
    seen = "" if command == "insert" else f" using ({using})"
    name = f"{role}_{command}"
    op.execute(f"create policy {name} on {table} for {command} to {role}{seen}{check}")


def grant(rights: str, table: str, *roles: str) -> None:
    op.execute(f"grant {rights} on {table} to {', '.join(roles)}")
