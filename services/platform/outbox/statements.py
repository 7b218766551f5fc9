"""What the outbox asks PostgreSQL. `table` is always a constant of ours."""
# ruff: noqa: S608 - see above

from __future__ import annotations

from functools import cache

from sqlalchemy import TextClause, text


def channel(table: str) -> str:
    """The notification channel of an outbox.

    >>> channel("ingest.outbox")
    'ingest_outbox'
    """
    return table.replace(".", "_")


def appended(table: str, prefix: str = "") -> str:
    """Two parts of a `with`: the relays are woken, and the rows appended whose columns come as parameters so named."""
    column = f"cast(:{prefix}%s as %s[])"
    kinds = {
        "tenants": "uuid", "events": "uuid", "lanes": "smallint", "topics": "text", "keys": "bytea", "values": "bytea",
        "headers": "bytea",
    }  # fmt: skip
    columns = ", ".join(column % each for each in kinds.items())
    return f"""
        woken as (select pg_notify(:{prefix}channel, :{prefix}buckets)),
        appended as (
          insert into {table} (tenant_id, event_id, lane, topic, key, value, headers, created_at)
          select n.*, clock_timestamp() from unnest({columns}) as n, woken)
    """


@cache
def append(table: str) -> TextClause:
    return text(f"with {appended(table)} select 1")


@cache
def waiting(table: str) -> TextClause:
    """The next rows of some lanes and buckets, tenants in turn, at most so many rows and bytes.

    First who waits where (one index step for each, however long the backlogs), then an equal share for each, from
    its oldest row on. Everything is an index step from a known place: another bucket's backlog costs nothing.
    In no order: the reader sorts, which costs less than PostgreSQL's moving the values.
    """
    place = "o.lane = l.lane and o.bucket = b.bucket"
    return text(f"""
        with turn as materialized (
          select l.lane, b.bucket, t.tenant_id
          from unnest(cast(:lanes as smallint[])) as l(lane)
          cross join unnest(cast(:buckets as smallint[])) as b(bucket)
          cross join lateral (
            with recursive t as (
              (select o.tenant_id from {table} o where {place} and o.tenant_id > cast(:after as uuid)
               order by o.tenant_id limit 1)
              union all
              select (select o.tenant_id from {table} o where {place} and o.tenant_id > t.tenant_id
                      order by o.tenant_id limit 1)
              from t where t.tenant_id is not null)
            select t.tenant_id from t where t.tenant_id is not null limit cast(:tenants as integer)) t)
        select r.lane, r.number, r.tenant_id, r.bucket, r.topic, r.key, r.value, r.headers, r.created_at
        from turn cross join lateral (
          select w.*, sum(octet_length(w.value)) over (order by w.number rows unbounded preceding)
            - octet_length(w.value) as before from (
            select o.* from {table} o
            where o.lane = turn.lane and o.bucket = turn.bucket and o.tenant_id = turn.tenant_id order by o.number
            limit (select greatest(1, cast(:rows as bigint) / count(*)) from turn)) w) r
        where r.before < (select cast(:bytes as bigint) / count(*) from turn) or r.before = 0
    """)


@cache
def settle(table: str, also: str) -> TextClause:
    """Delete what is published, and in the same statement what the service notes `also` about the rows in `gone`."""
    return text(f"""
        with gone as (delete from {table} where number = any(cast(:numbers as bigint[]))
          returning tenant_id, event_id, topic)
        {also or "select count(*) from gone"}
    """)


@cache
def backlog(table: str) -> TextClause:
    """How many rows wait in each lane and since when: exact up to 100,000 of a lane, a lower bound above."""
    return text(f"""
        select l.lane, count(o.created_at), extract(epoch from clock_timestamp() - min(o.created_at))::float8
        from unnest(cast(:lanes as smallint[])) as l(lane) left join lateral (
          select created_at from {table} where lane = l.lane limit 100000) o on true
        group by l.lane
    """)


JOIN = text("select pg_try_advisory_lock_shared(hashtextextended(:table, 0))")
"""Being a replica. The relay before buckets holds the same lock alone: the two do not work side by side."""

REPLICAS = text("""
    select count(*) from pg_locks l join pg_database d on d.oid = l.database and d.datname = current_database(),
      hashtextextended(:table, 0) as h
    where l.locktype = 'advisory' and l.objsubid = 1 and l.granted and l.mode = 'ShareLock'
      and l.classid = ((h >> 32) & 4294967295)::oid and l.objid = (h & 4294967295)::oid
""")
TAKE = text("""
    select b from unnest(cast(:free as integer[])) as b
    where pg_try_advisory_lock(hashtext(:table), b) limit cast(:most as integer)
""")
GIVE = text("select pg_advisory_unlock(hashtext(:table), b) from unnest(cast(:buckets as integer[])) as b")
MORTAL = text("select set_config('idle_session_timeout', :milliseconds, false)")
