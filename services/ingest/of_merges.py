"""What a merge asks of PostgreSQL, beside the store's own statements."""

from __future__ import annotations

from sqlalchemy import text

from services.ingest.merged import SOURCE

WENT = text("""
    select survivor_id from ingest.merge where tenant_id = :tenant and loser_id = :client and undone_at is null
""")
LOSERS = text("""
    select losers from ingest.merge where tenant_id = :tenant and survivor_id = :client and undone_at is null
""")
FACTS = text(f"""
    select i.event_id, i.source, i.external_id, i.version, i.record_id, i.episode_id, i.type, i.occurred_at, i.value
    from ingest.inbox i
    where i.tenant_id = :tenant and i.client_id = :client and not i.type like 'client.%'
      and not exists (select from ingest.merge m where m.tenant_id = i.tenant_id and m.undone_at is not null
        and i.source = '{SOURCE}' || m.merge_id)
    order by i.received_at, i.event_id limit :most
""")  # noqa: S608 - a constant
MERGE = text("""
    insert into ingest.merge (tenant_id, merge_id, record_id, loser_id, survivor_id, losers, merged_at)
    values (:tenant, :merge, :record, :loser, :survivor, cast(:losers as uuid[]), :at)
""")
LEAD = text("""
    update ingest.episode set
      merged_into = case when client_id = :loser then cast(:survivor as uuid) end,
      absorbs = absorbs or client_id = :survivor
    where tenant_id = :tenant and client_id in (:loser, :survivor)
""")
STANDS = text("""
    select merge_id, loser_id, survivor_id from ingest.merge
    where tenant_id = :tenant and record_id = :record and undone_at is null
""")
COPIES = text("""
    select event_id, episode_id, value from ingest.inbox
    where tenant_id = :tenant and source = :source and client_id = :survivor
""")
UNDO = text("update ingest.merge set undone_at = :at where tenant_id = :tenant and merge_id = :merge")
APART = text("update ingest.episode set merged_into = null where tenant_id = :tenant and client_id = :loser")
NOBODYS = text("""
    update ingest.episode set client_id = :nobody, reference = episode_id, implicit = false
    where tenant_id = :tenant and client_id = :survivor and episode_id = any(cast(:episodes as uuid[]))
""")
ABSORBED = text("""
    select survivor_id, merge_id, losers from ingest.merge
    where tenant_id = :tenant and survivor_id = any(cast(:clients as uuid[])) and undone_at is null
    order by merged_at, merge_id
""")
CAME = text("""
    select i.client_id, cast(i.external_id as uuid) as posted, i.record_id, i.type,
           cast(cast(convert_from(i.value, 'UTF8') as jsonb) ->> 'session_id' as uuid) as session
    from ingest.inbox i
    where i.tenant_id = :tenant and i.client_id = any(cast(:clients as uuid[]))
      and i.source = any(cast(:sources as text[])) and not i.type like 'client.%'
""")
