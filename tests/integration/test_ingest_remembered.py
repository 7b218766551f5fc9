"""What the door remembers instead of asking: never more than the database holds."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from services.ingest.settings import IngestSettings
from tests.clinic import door, new_clinic, rating, write_secrets
from tests.scoring_worker import free_port
from tests.stack import Database

SET_BACK = ("delete from ingest.inbox", "delete from ingest.episode", "delete from vault.entry")
BREAK = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'attune_ingest'"
UNNAMED = """
    select count(*) from ingest.inbox i
    where not exists (select from vault.entry v where v.tenant_id = i.tenant_id and v.surrogate = i.client_id)
       or not exists (select from ingest.episode e where e.tenant_id = i.tenant_id and e.episode_id = i.episode_id)
"""


async def test_a_database_that_was_set_back_is_asked_anew(database: Database, tmp_path: Path) -> None:
    """A standby that had not heard of a client takes over: the next post makes the client and the episode again."""
    settings = IngestSettings(
        environment="local",
        database_url=database.url("attune_ingest"),
        kafka_bootstrap=f"127.0.0.1:{free_port()}",
        secrets_dir=write_secrets(tmp_path / "secrets"),
    )
    _, key = await new_clinic(database)
    engine = create_async_engine(database.url("postgres"))
    async with door(settings, key) as clinic:
        for number in (1, 2):
            assert (await clinic.post(rating(number=number, id=f"before-{number}"))).status_code == 201
        async with engine.begin() as connection:
            for statement in (*SET_BACK, BREAK):
                await connection.execute(text(statement))
        assert (await clinic.post(rating(number=3, id="after"))).status_code == 201
    async with engine.connect() as connection:
        assert (await connection.execute(text("select count(*) from ingest.inbox"))).scalar_one() == 1
        assert (await connection.execute(text(UNNAMED))).scalar_one() == 0
    await engine.dispose()
