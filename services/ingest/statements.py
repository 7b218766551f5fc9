"""The store's SQL: each statement takes any number of rows."""
# ruff: noqa: S608 - names of ours

from __future__ import annotations

from sqlalchemy import text

from schemas.topics import SESSION_EVENTS
from services.ingest.models import OUTBOX

KNOWN = text("""
    select event_id, body_hash, received_at from ingest.inbox
    where tenant_id = :tenant and event_id = any(cast(:ids as uuid[]))
""")
LOCK_EPISODES = text("select pg_advisory_xact_lock(hashtextextended('episodes ' || :tenant, 0))")
EPISODES = text("""
    select episode_id, client_id, reference, implicit, opened_at, closed_at, facts, merged_into, absorbs
    from ingest.episode
    where tenant_id = :tenant and client_id = any(cast(:clients as uuid[]))
    order by episode_id
""")
EPISODES_HELD = text(f"{EPISODES} for update")
COMMIT = text(f"""
    with n as materialized (
      select * from unnest(
        cast(:events as uuid[]), cast(:sources as text[]), cast(:externals as text[]), cast(:versions as int[]),
        cast(:hashes as bytea[]), cast(:records as uuid[]), cast(:clients as uuid[]), cast(:episodes as uuid[]),
        cast(:types as text[]), cast(:occurred as timestamptz[]), cast(:received as timestamptz[]),
        cast(:values as bytea[]), cast(:lanes as smallint[]), cast(:keys as bytea[]), cast(:headers as bytea[]))
        as n(event_id, source, external_id, version, body_hash, record_id, client_id, episode_id, type, occurred_at,
             received_at, value, lane, key, headers)),
    fresh as (
      insert into ingest.inbox (tenant_id, event_id, source, external_id, version, body_hash, record_id, client_id,
                                episode_id, type, occurred_at, received_at, value)
      select :tenant, event_id, source, external_id, version, body_hash, record_id, client_id, episode_id, type,
             occurred_at, received_at, value
      from n on conflict do nothing returning event_id),
    woken as (select pg_notify(:channel, :buckets)),
    sent as (
      insert into {OUTBOX} (tenant_id, event_id, lane, topic, key, value, headers, created_at)
      select :tenant, n.event_id, n.lane, '{SESSION_EVENTS.name}', n.key, n.value, n.headers, clock_timestamp()
      from n, woken),
    courses as (
      insert into ingest.episode as e (tenant_id, episode_id, client_id, reference, implicit, opened_at, closed_at,
                                       facts)
      select :tenant, c.* from unnest(
        cast(:courses as uuid[]), cast(:course_clients as uuid[]), cast(:references as uuid[]),
        cast(:implicits as boolean[]), cast(:opened as timestamptz[]), cast(:closed as timestamptz[]),
        cast(:added as int[])) as c
      on conflict (tenant_id, episode_id) do update set
        reference = coalesce(e.reference, excluded.reference),
        opened_at = excluded.opened_at,
        closed_at = excluded.closed_at,
        facts = e.facts + excluded.facts)
    select count(*) from fresh
""")
"""Facts, what the relay carries of them, and their episodes, in one go. It tells how many facts were new: where that is
not all of them, nothing of it may be committed, for the rest took the others for new as well."""
TAKEN_BACK = text("""
    select distinct on (gone.event_id) gone.value as retraction, earlier.value as earlier
    from unnest(cast(:sources as text[]), cast(:externals as text[])) as n(source, external_id)
    join ingest.inbox gone on gone.tenant_id = :tenant and gone.source = n.source
      and gone.external_id = n.external_id and gone.type = 'rating.retracted'
    join ingest.inbox earlier on earlier.tenant_id = :tenant and earlier.source = n.source
      and earlier.external_id = n.external_id and earlier.version < gone.version
      and earlier.type in ('rating.submitted', 'rating.amended')
    order by gone.event_id, earlier.version desc
""")
