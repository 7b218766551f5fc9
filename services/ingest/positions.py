"""How far the receipts' tail read, in the transaction of what it read."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.platform.positions import Found, Stored, find, from_here

_ALL = text("select topic, partition, next_offset, last_offset, digest, last_at from ingest.tail_offset")
_MOVE = text("""
    insert into ingest.tail_offset as o (topic, partition, next_offset, last_offset, digest, last_at)
    select * from unnest(cast(:topics as text[]), cast(:partitions as int[]), cast(:nexts as bigint[]),
                         cast(:lasts as bigint[]), cast(:digests as bytea[]), cast(:times as timestamptz[])) as n
    on conflict (topic, partition) do update set
      next_offset = excluded.next_offset, last_offset = excluded.last_offset, digest = excluded.digest,
      last_at = excluded.last_at
""")
_PASS = text("""
    update ingest.tail_offset o set next_offset = n.next_offset
    from unnest(cast(:topics as text[]), cast(:partitions as int[]), cast(:nexts as bigint[]))
      as n(topic, partition, next_offset)
    where o.topic = n.topic and o.partition = n.partition
    returning o.topic, o.partition
""")
_CUT = text("insert into ingest.log_cut (topic, partition, since) values (:topic, :partition, :since)")


async def move(connection: AsyncConnection, moved: Mapping[TopicPartition, Stored]) -> None:
    """Note where each partition was read to; where no record was read, the last one stays what it was."""
    passed = {place: stored for place, stored in moved.items() if stored.last_offset < 0}
    kept = (
        {(row.topic, row.partition) for row in await connection.execute(_PASS, _columns(passed))} if passed else set()
    )
    whole = {place: stored for place, stored in moved.items() if tuple(place) not in kept}
    if whole:
        await connection.execute(_MOVE, _columns(whole))


def _columns(moved: Mapping[TopicPartition, Stored]) -> dict[str, list[object]]:
    rows = sorted(moved.items())
    return {
        "topics": [place.topic for place, _ in rows],
        "partitions": [place.partition for place, _ in rows],
        "nexts": [stored.next_offset for _, stored in rows],
        "lasts": [stored.last_offset for _, stored in rows],
        "digests": [stored.digest for _, stored in rows],
        "times": [stored.last_at for _, stored in rows],
    }


async def resume(
    connection: AsyncConnection, looker: AIOKafkaConsumer, places: Collection[TopicPartition]
) -> dict[TopicPartition, Found]:
    """Where to go on in each partition that was read before. That a log was cut is noted, once, for the reconciler."""
    known = {TopicPartition(row.topic, row.partition): Stored(*row[2:]) for row in await connection.execute(_ALL)}
    found = await find(looker, known, places)
    for place, each in found.items():
        if each.log == "cut" and each.since is not None:  # else nothing was read of it that could be lost
            values = {"topic": place.topic, "partition": place.partition, "since": each.since}
            await connection.execute(_CUT, values)
    lost = {place: from_here(each.next_offset) for place, each in found.items() if each.log != "same"}
    if lost:
        await connection.execute(_MOVE, _columns(lost))
    return found


async def begin(
    connection: AsyncConnection, clients: tuple[AIOKafkaConsumer, AIOKafkaConsumer], places: Collection[TopicPartition]
) -> dict[TopicPartition, Found]:
    """Where to begin what no record tells of: at the group's own offset, where the code before this kept it."""
    consumer, looker = clients
    begins, ends = await looker.beginning_offsets(places), await looker.end_offsets(places)
    starts = {}
    for place in places:
        committed = await consumer.committed(place)
        known = committed is not None and begins[place] <= committed <= ends[place]
        starts[place] = committed if known else begins[place]
    if starts:
        await connection.execute(_MOVE, _columns({place: from_here(offset) for place, offset in starts.items()}))
    return {place: Found("same", offset) for place, offset in starts.items()}
