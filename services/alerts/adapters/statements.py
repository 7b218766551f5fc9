"""Alerts' SQL: each statement takes any number of rows, and names the tenants beside row-level security."""
# ruff: noqa: S608 - put together of our own

from __future__ import annotations

import re

from sqlalchemy import text

from services.alerts.models import OUTBOX
from services.platform.outbox import appended


def _of(statement: str, prefix: str) -> str:
    """A statement with parameters of its own among others."""
    return re.sub(r":(\w+)", rf":{prefix}\1", statement)


KEEP_EPISODES = """
    insert into alerts.episode as e (tenant_id, episode_id, client_id, owner_id, status, opened_at, last_attended_at,
                                     due_at, engine, facts, snapshot)
    select n.tenant_id, n.episode_id, n.client_id, n.owner_id, n.status, n.opened_at, n.last_attended_at, n.due_at,
           n.engine, n.facts, cast(n.snapshot as jsonb)
    from unnest(
      cast(:tenants as uuid[]), cast(:episodes as uuid[]), cast(:clients as uuid[]), cast(:owners as uuid[]),
      cast(:statuses as text[]), cast(:opened as timestamptz[]), cast(:attended as timestamptz[]),
      cast(:due as timestamptz[]), cast(:engines as int[]), cast(:facts as int[]), cast(:snapshots as text[]))
      as n(tenant_id, episode_id, client_id, owner_id, status, opened_at, last_attended_at, due_at, engine, facts,
           snapshot)
    on conflict (tenant_id, episode_id) do update set
      client_id = excluded.client_id, owner_id = excluded.owner_id, status = excluded.status,
      opened_at = excluded.opened_at, last_attended_at = excluded.last_attended_at, due_at = excluded.due_at,
      engine = excluded.engine, facts = excluded.facts, snapshot = excluded.snapshot
    where (excluded.engine, excluded.facts) >= (e.engine, e.facts)
    returning tenant_id, episode_id, (xmax = 0) as is_new
"""
KEEP_READINGS = """
    insert into alerts.reading as r (tenant_id, rating_id, episode_id, occurred_at, engine, facts, withdrawn, reading)
    select n.tenant_id, n.rating_id, n.episode_id, n.occurred_at, n.engine, n.facts, n.reading is null,
           cast(n.reading as jsonb)
    from unnest(
      cast(:tenants as uuid[]), cast(:ratings as uuid[]), cast(:episodes as uuid[]), cast(:times as timestamptz[]),
      cast(:engines as int[]), cast(:facts as int[]), cast(:readings as text[]))
      as n(tenant_id, rating_id, episode_id, occurred_at, engine, facts, reading)
    on conflict (tenant_id, rating_id) do update set
      episode_id = excluded.episode_id, occurred_at = excluded.occurred_at, engine = excluded.engine,
      facts = excluded.facts, withdrawn = excluded.withdrawn, reading = excluded.reading
    where (excluded.engine, excluded.facts) >= (r.engine, r.facts)
"""
_HEAR = """
    insert into alerts.tenant_clock as c (tenant_id, known_at, heard_at)
    select n.tenant_id, n.known_at, :heard_at
    from unnest(cast(:tenants as uuid[]), cast(:known as timestamptz[])) as n(tenant_id, known_at)
    on conflict (tenant_id) do update set
      known_at = greatest(c.known_at, excluded.known_at), heard_at = greatest(c.heard_at, excluded.heard_at)
    returning c.tenant_id, c.known_at, c.grown, c.swept_at, c.shadow, c.policy_version, c.policy_since
"""
UPSERT_SHADOWS = text("""
    insert into alerts.shadow_signal as s (tenant_id, rating_id, policy, episode_id, occurred_at, live_policy,
                                           live_rule, shadow_rule, engine, facts)
    select n.*
    from unnest(
      cast(:tenants as uuid[]), cast(:ratings as uuid[]), cast(:policies as text[]), cast(:episodes as uuid[]),
      cast(:times as timestamptz[]), cast(:live_policies as text[]), cast(:live as text[]), cast(:shadows as text[]),
      cast(:engines as int[]), cast(:facts as int[]))
      as n(tenant_id, rating_id, policy, episode_id, occurred_at, live_policy, live_rule, shadow_rule, engine, facts)
    on conflict (tenant_id, policy, rating_id) do update set
      episode_id = excluded.episode_id, occurred_at = excluded.occurred_at, live_policy = excluded.live_policy,
      live_rule = excluded.live_rule, shadow_rule = excluded.shadow_rule, engine = excluded.engine,
      facts = excluded.facts
    where (excluded.engine, excluded.facts) >= (s.engine, s.facts)
""")
QUIET_SHADOWS = text("""
    update alerts.shadow_signal s set live_rule = null, shadow_rule = null, engine = n.engine, facts = n.facts
    from unnest(cast(:tenants as uuid[]), cast(:ratings as uuid[]), cast(:policies as text[]),
      cast(:engines as int[]), cast(:facts as int[])) as n(tenant_id, rating_id, policy, engine, facts)
    where s.tenant_id = n.tenant_id and s.rating_id = n.rating_id and s.policy = n.policy
      and (n.engine, n.facts) >= (s.engine, s.facts)
""")
ALL_CLOCKS = text("select tenant_id, known_at, heard_at, grown from alerts.tenant_clock order by tenant_id")
ASKED_ANEW = text("""
    select tenant_id from alerts.tenant_clock where policy_asked is distinct from policy_version order by tenant_id
""")
PUT_IN_FORCE = text("""
    update alerts.tenant_clock c set policy_version = policy_asked, policy_since = coalesce(known_at, :now)
    where tenant_id = :tenant and policy_asked is distinct from policy_version
    returning c.tenant_id, c.known_at, c.grown, c.swept_at, c.shadow, c.policy_version, c.policy_since
""")
OWN_POLICIES = text("""
    select tenant_id, version, cast(definition as text) as definition from alerts.tenant_policy
    where tenant_id = any(cast(:tenants as uuid[])) and version = any(cast(:versions as int[]))
""")
ALL_EPISODES = text("select episode_id from alerts.episode where tenant_id = :tenant order by episode_id")
SWEPT = text("""
    update alerts.tenant_clock c set swept_at = greatest(swept_at, :now) where tenant_id = :tenant
    returning c.tenant_id, c.policy_version, c.policy_since
""")
SIZES = text("""
    select t.tenant_id, (select count(*) from (
      select distinct e.client_id from alerts.episode e where e.tenant_id = t.tenant_id limit :most) as c) as clients
    from unnest(cast(:tenants as uuid[])) as t(tenant_id)
""")
GROW = text("update alerts.tenant_clock set grown = true where tenant_id = :tenant")
FALLBACK_EPISODES = text("""
    select distinct episode_id from alerts.alert where tenant_id = :tenant and kind = 'rupture-possible'
""")
KNOWN = text("""
    with own as materialized (
      select episode_id from alerts.alert
      where tenant_id = any(cast(:tenants as uuid[])) and episode_id = any(cast(:touched as uuid[]))),
    wanted as materialized (select episode_id from own union select unnest(cast(:decide as uuid[]))),
    held as materialized (
      select tenant_id, episode_id, client_id, owner_id, cast(snapshot as text) as snapshot from alerts.episode
      where tenant_id = any(cast(:tenants as uuid[])) and episode_id = any(array(select episode_id from wanted))
      order by episode_id for update),
    theirs as materialized (
      select * from alerts.alert
      where tenant_id = any(cast(:tenants as uuid[])) and episode_id = any(array(select episode_id from wanted)))
    select 'episode' as what, tenant_id, episode_id, client_id as one, owner_id as two, snapshot as body,
           cast(null as timestamptz) as at from held
    union all
    select 'reading', tenant_id, episode_id, null, null, cast(reading as text), null from alerts.reading
    where tenant_id = any(cast(:tenants as uuid[])) and episode_id = any(array(select episode_id from wanted))
      and not withdrawn
    union all
    select 'alert', tenant_id, episode_id, owner_id, null, cast(json_build_array(
      alert_id, kind, severity, state, reason, historical, rule, rating_id,
      case when kind = 'risk-item' and cast(evidence ->> 'value' as float) >= 1 then evidence ->> 'item' end) as text),
      null from theirs
    union all
    select 'act', tenant_id, null, alert_id, null, action, at from alerts.step
    where tenant_id = any(cast(:tenants as uuid[])) and alert_id = any(array(select alert_id from theirs))
      and action in ('acknowledged', 'resolved')
""")
"""All that is known of some episodes, and of those `touched` that have alerts. Who asks holds their clinics' clocks: so
nobody else decides about them meanwhile, one look shows one state. Lists, not joins: these are planned by guesses."""
CLOSE = text("""
    update alerts.alert a set state = n.state from unnest(cast(:tenants as uuid[]), cast(:alerts as uuid[]),
      cast(:states as text[])) as n(tenant_id, alert_id, state)
    where a.tenant_id = n.tenant_id and a.alert_id = n.alert_id
""")
_KEEP_ALERTS = """
    insert into alerts.alert as a (tenant_id, alert_id, client_id, episode_id, owner_id, kind, severity, state, rule,
                                   policy, reason, rating_id, occurred_at, opened_at, historical, evidence, version)
    select n.tenant_id, n.alert_id, n.client_id, n.episode_id, n.owner_id, n.kind, n.severity, n.state, n.rule,
           n.policy, n.reason, n.rating_id, n.occurred_at, n.opened_at, n.historical, cast(n.evidence as jsonb),
           n.version
    from unnest(
      cast(:tenants as uuid[]), cast(:alerts as uuid[]), cast(:clients as uuid[]), cast(:episodes as uuid[]),
      cast(:owners as uuid[]), cast(:kinds as text[]), cast(:severities as text[]), cast(:states as text[]),
      cast(:rules as text[]), cast(:policies as text[]), cast(:reasons as text[]), cast(:ratings as uuid[]),
      cast(:occurred as timestamptz[]), cast(:opened as timestamptz[]), cast(:historical as boolean[]),
      cast(:evidence as text[]), cast(:versions as int[]))
      as n(tenant_id, alert_id, client_id, episode_id, owner_id, kind, severity, state, rule, policy, reason,
           rating_id, occurred_at, opened_at, historical, evidence, version)
    on conflict (tenant_id, alert_id) do update set
      owner_id = excluded.owner_id, severity = excluded.severity, state = excluded.state, rule = excluded.rule,
      policy = excluded.policy, reason = excluded.reason, rating_id = excluded.rating_id,
      occurred_at = excluded.occurred_at, historical = excluded.historical, evidence = excluded.evidence,
      version = excluded.version
"""
UPSERT_ALERTS = text(_KEEP_ALERTS)
REOWN = text("""
    update alerts.alert a set owner_id = n.owner_id from unnest(cast(:tenants as uuid[]), cast(:alerts as uuid[]),
      cast(:owners as uuid[])) as n(tenant_id, alert_id, owner_id)
    where a.tenant_id = n.tenant_id and a.alert_id = n.alert_id
""")
_STEPS = """
    insert into alerts.step (tenant_id, step_id, alert_id, action, actor, reason, at)
    select n.* from unnest(cast(:tenants as uuid[]), cast(:steps as uuid[]), cast(:alerts as uuid[]),
      cast(:actions as text[]), cast(:actors as text[]), cast(:reasons as text[]), cast(:times as timestamptz[])) as n
    on conflict do nothing
"""
WRITE = text(f"with noted as ({_of(_STEPS, 'step_')}), {appended(OUTBOX, 'out_')} {_KEEP_ALERTS}")
"""Alerts as they stand now, their steps, and what is told of them."""
CARRY = text("""
    insert into alerts.step (tenant_id, step_id, alert_id, action, actor, reason, at)
    select s.tenant_id, cast(md5(cast(n.heir as text) || cast(s.step_id as text)) as uuid), n.heir, s.action, s.actor,
           s.reason, s.at
    from unnest(cast(:tenants as uuid[]), cast(:alerts as uuid[]), cast(:heirs as uuid[]))
      as n(tenant_id, alert_id, heir)
    join alerts.step s on s.tenant_id = n.tenant_id and s.alert_id = n.alert_id
    where s.action in ('acknowledged', 'resolved')
    on conflict do nothing returning tenant_id, alert_id
""")
"""What people said of alerts, said of their heirs too: whether these are there yet or come later."""
HEED = text("""
    with said as materialized (
      select tenant_id, alert_id, bool_or(action = 'resolved') as resolved from alerts.step
      where tenant_id = any(cast(:tenants as uuid[])) and alert_id = any(cast(:alerts as uuid[]))
        and action in ('acknowledged', 'resolved')
      group by tenant_id, alert_id)
    update alerts.alert a set state = case when said.resolved then 'resolved' else 'acknowledged' end from said
    where a.tenant_id = said.tenant_id and a.alert_id = said.alert_id
      and (a.state = 'open' or (a.state = 'acknowledged' and said.resolved))
    returning a.episode_id
""")
"""Alerts of which a person has spoken before they were opened here stand as that person left them."""
DUE = text("""
    select episode_id from alerts.episode where tenant_id = :tenant and due_at <= :now
    order by due_at limit :most for update skip locked
""")
NEXT_DUE = text("""
    update alerts.episode e set due_at = n.due_at
    from unnest(cast(:episodes as uuid[]), cast(:due as timestamptz[])) as n(episode_id, due_at)
    where e.tenant_id = :tenant and e.episode_id = n.episode_id
""")
KNOWN_RISKS = text("""
    select alert_id, version, state, evidence from alerts.alert
    where tenant_id = any(cast(:tenants as uuid[])) and alert_id = any(cast(:alerts as uuid[])) for update
""")
OWNERS = text("""
    select episode_id, owner_id, status = 'merged' as merged from alerts.episode
    where tenant_id = any(cast(:tenants as uuid[])) and episode_id = any(cast(:episodes as uuid[]))
""")
ALL_OFFSETS = text("""
    select topic, partition, next_offset, last_offset, digest, last_at from alerts.consumer_offset
    order by topic, partition
""")
FIRST_OFFSETS = text("""
    insert into alerts.consumer_offset (topic, partition, next_offset, last_offset, digest, last_at)
    select n.* from unnest(cast(:topics as text[]), cast(:partitions as int[]), cast(:next as bigint[]),
      cast(:last as bigint[]), cast(:digests as bytea[]), cast(:times as timestamptz[])) as n
    on conflict do nothing returning topic, partition
""")
_ADVANCE = """
    update alerts.consumer_offset o
    set next_offset = n.next, last_offset = n.last, digest = n.digest, last_at = n.at
    from unnest(cast(:topics as text[]), cast(:partitions as int[]), cast(:next as bigint[]), cast(:last as bigint[]),
      cast(:digests as bytea[]), cast(:times as timestamptz[]), cast(:starts as bigint[]))
      as n(topic, partition, next, last, digest, at, start)
    where o.topic = n.topic and o.partition = n.partition and o.next_offset = n.start
    returning o.topic, o.partition
"""
TAKE = text(f"""
    with moved as ({_ADVANCE}), heard as ({_of(_HEAR, "clock_")}), kept as ({_of(KEEP_EPISODES, "e_")}),
    told as ({_of(KEEP_READINGS, "r_")})
    select 'moved' as what, topic, partition, cast(null as uuid) as tenant_id, cast(null as uuid) as episode_id,
           cast(null as timestamptz) as known_at, cast(null as boolean) as grown, cast(null as timestamptz) as swept_at,
           cast(null as text) as shadow, cast(null as int) as policy_version, cast(null as timestamptz) as policy_since
    from moved
    union all
    select 'clock', null, null, tenant_id, null, known_at, grown, swept_at, shadow, policy_version, policy_since
    from heard
    union all
    select 'new', null, null, tenant_id, episode_id, null, null, null, null, null, null from kept where is_new
""")
"""How far was read, the clinics' clocks, what is known now: in this order, so that whoever writes of a clinic holds its
clock first. Told are the places that moved, the clocks, and which episodes are new."""
MOVE_BACK = text("""
    update alerts.consumer_offset set next_offset = :next, last_offset = -1, last_at = null
    where topic = :topic and partition = :partition
""")
FORGET_OFFSET = text("delete from alerts.consumer_offset where topic = :topic and partition = :partition")
